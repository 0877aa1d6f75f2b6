# The database, the function and its role. What the role may do comes from ./policy.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

variable "subnet_ids" {
  description = "Private subnets, in two Availability Zones at least"
  type        = list(string)
}

variable "vpc_id" {
  type = string
}

variable "package" {
  description = "Path of the zip file with the bundled function"
  type        = string
}

locals {
  user = "orders_app"
}

resource "aws_db_instance" "orders" {
  identifier     = "orders"
  engine         = "postgres"
  engine_version = "17"
  # IAM authentication takes several hundred MiB of memory, which a micro does not have to spare.
  instance_class                      = "db.t4g.small"
  allocated_storage                   = 20
  storage_type                        = "gp3"
  storage_encrypted                   = true
  db_name                             = "orders"
  username                            = "orders_admin"
  manage_master_user_password         = true
  iam_database_authentication_enabled = true
  # The true reason of each refusal stands in it.
  enabled_cloudwatch_logs_exports = ["iam-db-auth-error"]
  db_subnet_group_name            = aws_db_subnet_group.orders.name
  vpc_security_group_ids          = [aws_security_group.database.id]
  final_snapshot_identifier       = "orders-last"
}

resource "aws_db_subnet_group" "orders" {
  name       = "orders"
  subnet_ids = var.subnet_ids
}

# Without a rule, Terraform's groups let nothing in and nothing out.
resource "aws_security_group" "database" {
  name   = "orders-database"
  vpc_id = var.vpc_id
}

resource "aws_security_group" "function" {
  name   = "orders-function"
  vpc_id = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "to_database" {
  security_group_id            = aws_security_group.function.id
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = aws_db_instance.orders.port
  to_port                      = aws_db_instance.orders.port
}

resource "aws_vpc_security_group_ingress_rule" "from_function" {
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = aws_security_group.function.id
  ip_protocol                  = "tcp"
  from_port                    = aws_db_instance.orders.port
  to_port                      = aws_db_instance.orders.port
}

module "connect" {
  source = "./policy"
  # Not id or identifier, which are the database's name.
  resource_id = aws_db_instance.orders.resource_id
  user        = local.user
  region      = data.aws_region.current.region
  account_id  = data.aws_caller_identity.current.account_id
  partition   = data.aws_partition.current.partition
}

resource "aws_iam_role" "orders" {
  name = "orders"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "connect" {
  name   = "connect"
  role   = aws_iam_role.orders.id
  policy = module.connect.json
}

resource "aws_iam_role_policy_attachment" "vpc" {
  role       = aws_iam_role.orders.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
}

resource "aws_lambda_function" "orders" {
  function_name    = "orders"
  role             = aws_iam_role.orders.arn
  runtime          = "nodejs24.x"
  architectures    = ["arm64"]
  handler          = "orders.handler"
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  # CPU comes with memory, and the TLS handshake of a cold start is CPU.
  memory_size = 512
  # Longer than the time to connect (10 s), so that a failure is told by its own error.
  timeout = 15

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.function.id]
  }

  environment {
    variables = {
      PGHOST     = aws_db_instance.orders.address
      PGPORT     = aws_db_instance.orders.port
      PGUSER     = local.user
      PGDATABASE = aws_db_instance.orders.db_name
    }
  }
}

# For rds-iam check: terraform output -raw connect_policy
output "connect_policy" {
  value = module.connect.json
}
