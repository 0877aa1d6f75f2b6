/**
 * What the SDKs of AWS made on 30 November 2026, with static credentials, for the endpoint below. For each, the
 * package, its version and the function, which is the one that AWS documents for the language; one token with
 * the kit's stand-in key pair, and one with a session token for a user whose name has to be encoded. They differ
 * in the order of the parameters; Go's have no slash, and Rust's do not encode the user. All are long dead: a
 * gateway takes them only where its clock is set to their time.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
 */
export const sdkTokens: readonly SdkToken[] = [
  {
    sdk: 'Go: aws-sdk-go-v2/feature/rds/auth 1.7.12, BuildAuthToken',
    user: 'app',
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=defaultkey%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T131542Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=3a63dca23ad30509ade250ff410666273796dcc20fd91c46ab8ff0f8a86b2b22',
  },
  {
    sdk: 'Go: aws-sdk-go-v2/feature/rds/auth 1.7.12, BuildAuthToken',
    user: "a b+c/ü~'(1)*!",
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432?Action=connect&DBUser=a%20b%2Bc%2F%C3%BC~%27%281%29%2A%21&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIASESSION%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T131542Z&X-Amz-Expires=900&X-Amz-Security-Token=Fwo%2B%2F%3DXz&X-Amz-SignedHeaders=host&X-Amz-Signature=e94ddb00f2bb9c0fdd761879ffa4befa47f76ad8d31c8bbad3746dfa7f606213',
  },
  {
    sdk: 'Java: software.amazon.awssdk:rds 2.57.8, RdsUtilities.generateAuthenticationToken',
    user: 'app',
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?DBUser=app&Action=connect&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261130T131513Z&X-Amz-SignedHeaders=host&X-Amz-Expires=900&X-Amz-Credential=defaultkey%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Signature=a1c4ede81381b33a83bb4721459bcd0c2053ccd8dc93a417b98161f33e3c55c9',
  },
  {
    sdk: 'Java: software.amazon.awssdk:rds 2.57.8, RdsUtilities.generateAuthenticationToken',
    user: "a b+c/ü~'(1)*!",
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?DBUser=a%20b%2Bc%2F%C3%BC~%27%281%29%2A%21&Action=connect&X-Amz-Security-Token=Fwo%2B%2F%3DXz&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261130T131513Z&X-Amz-SignedHeaders=host&X-Amz-Expires=900&X-Amz-Credential=ASIASESSION%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Signature=ed0c8f6d3cf01d4f1b2f68f16e8e91f46a1565638f53bb6954ae78154a794138',
  },
  {
    sdk: 'Python: boto3 1.44.8, generate_db_auth_token',
    user: 'app',
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=defaultkey%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T131822Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=4e20d38eda38be149061fc4813294c4b32708de6336494aff6d6821b8b84dfcd',
  },
  {
    sdk: 'Python: boto3 1.44.8, generate_db_auth_token',
    user: "a b+c/ü~'(1)*!",
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=a%20b%2Bc%2F%C3%BC~%27%281%29%2A%21&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIASESSION%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T131822Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Security-Token=Fwo%2B%2F%3DXz&X-Amz-Signature=a4bd6c56f04f5c81496ecfb22e3d03559d586b6452cd3c575e9a47d50cd4a929',
  },
  {
    sdk: 'AWS CLI 1.46.3, aws rds generate-db-auth-token',
    user: 'app',
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=defaultkey%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T131933Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=c4d4fadf43348f532a0054a7a8d1b3002ea35a30f20d8ce530137dc42496309a',
  },
  {
    sdk: 'AWS CLI 1.46.3, aws rds generate-db-auth-token',
    user: "a b+c/ü~'(1)*!",
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=a%20b%2Bc%2F%C3%BC~%27%281%29%2A%21&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIASESSION%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T131823Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Security-Token=Fwo%2B%2F%3DXz&X-Amz-Signature=38a7aa32f580d616fae040f83b517d04a72400e54e9994ea4b5f84063c82b00b',
  },
  {
    sdk: 'JavaScript: @aws-sdk/rds-signer 3.1169.0, Signer.getAuthToken',
    user: 'app',
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=defaultkey%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T131823Z&X-Amz-Expires=900&X-Amz-Signature=8d2c2bd2f4f6cb191e4f2bba0b2a0ba42c3eba06a6134a915e5c353ab80de25a&X-Amz-SignedHeaders=host',
  },
  {
    sdk: 'JavaScript: @aws-sdk/rds-signer 3.1169.0, Signer.getAuthToken',
    user: "a b+c/ü~'(1)*!",
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=a%20b%2Bc%2F%C3%BC~%27%281%29%2A%21&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIASESSION%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T131823Z&X-Amz-Expires=900&X-Amz-Security-Token=Fwo%2B%2F%3DXz&X-Amz-Signature=38a7aa32f580d616fae040f83b517d04a72400e54e9994ea4b5f84063c82b00b&X-Amz-SignedHeaders=host',
  },
  {
    sdk: 'Rust: aws-sdk-rds 1.159.0, auth_token::AuthTokenGenerator',
    user: 'app',
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=defaultkey%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T132018Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=84409d31283245896904c79ea4d5bf9154a669515128f32c4013da885af31864',
  },
  {
    sdk: 'Rust: aws-sdk-rds 1.159.0, auth_token::AuthTokenGenerator',
    user: 'o~hara.app-1_x/y@z',
    text: 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=o~hara.app-1_x/y@z&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIASESSION%2F20261130%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261130T132018Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=99b301c26d84b44404f1171c3a5e5f86c9424c46995b8721d0ab8f415d85b002&X-Amz-Security-Token=Fwo%2B%2F%3DXz',
  },
]

/** A token that an SDK made. */
export interface SdkToken {
  readonly sdk: string
  readonly user: string
  readonly text: string
}

/** What all of them were made for. */
export const sdkEndpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }

/** What those with a session token were signed with; the others, with the kit's stand-in. */
export const sdkSessionPair = {
  accessKeyId: 'ASIASESSION',
  secretAccessKey: 'session-secret',
  sessionToken: 'Fwo+/=Xz',
}
