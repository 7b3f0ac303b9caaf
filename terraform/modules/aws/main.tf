# What several files here need to know of where they are.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.name
  arn       = "arn:${local.partition}"
  sagemaker = "${local.arn}:sagemaker:${local.region}:${local.account}"
  tags      = merge(var.tags, { "trefoil:ground" = var.name })
}
