# The policy of one role that connects: no provider is needed for it, and so none to check it.

terraform {
  required_version = ">= 1.5"
}

variable "resource_id" {
  description = "Resource ID: db-… of an instance, cluster-… of Aurora, prx-… of RDS Proxy"
  type        = string

  validation {
    condition     = can(regex("^((db|cluster)-[A-Z0-9]+|prx-[A-Za-z0-9]+)$", var.resource_id))
    error_message = "Must be a resource ID such as db-ABCDEFGHIJKL01234, not the name or the ARN of the database."
  }
}

variable "user" {
  description = "Database user, case-sensitive"
  type        = string

  validation {
    # An asterisk would let the role in as every user.
    condition     = can(regex("^[A-Za-z0-9_.-]+$", var.user))
    error_message = "Must be the name of one database user."
  }
}

variable "region" {
  type = string
}

variable "account_id" {
  type = string
}

variable "partition" {
  type    = string
  default = "aws"
}

output "json" {
  description = "For the argument policy of aws_iam_role_policy"
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "rds-db:connect"
      Resource = "arn:${var.partition}:rds-db:${var.region}:${var.account_id}:dbuser:${var.resource_id}/${var.user}"
    }]
  })
}
