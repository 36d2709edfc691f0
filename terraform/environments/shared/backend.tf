# Where the state lies is the caller's affair and stands in no file: deploy-environment takes bucket and key from the
# environment (AURORA_OPS_STATE_BUCKET, AURORA_OPS_STATE_KEY); by hand, say them to `terraform init -backend-config=…`.
terraform {
  backend "s3" {
    use_lockfile = true # one writer at a time, without a DynamoDB table
  }
}
