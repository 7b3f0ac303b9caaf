locals {
  settings = {
    region              = local.region
    bucket              = aws_s3_bucket.this.bucket
    prefix              = var.prefix
    pipeline_role_arn   = aws_iam_role.pipeline.arn
    training_role_arn   = aws_iam_role.training.arn
    serving_role_arn    = aws_iam_role.serving.arn
    step_roles          = { deploy = aws_iam_role.deploy.arn }
    registry            = "${local.account}.dkr.ecr.${local.region}.amazonaws.com/${var.name}"
    tracking_uri        = var.tracking_uri
    experiment          = var.experiment
    model_package_group = aws_sagemaker_model_package_group.this.model_package_group_name
    kms_key             = aws_kms_key.this.arn
    subnets             = var.subnets
    security_groups     = var.security_groups
    tags                = local.tags
  }
}

output "settings" {
  description = "What --settings reads: each key is one of AwsSettings."
  value       = local.settings
}

output "policy_arns" {
  description = "launch, endpoints and push: attach them to whoever launches runs, deploys, or builds images."
  value       = { for each in [aws_iam_policy.launch, aws_iam_policy.endpoints, aws_iam_policy.push] : trimprefix(each.name, "${var.name}-") => each.arn }
}

output "ci" {
  description = "What a workflow signs in with, the role and the region; null without ci."
  value = var.ci == null ? null : {
    role_arn = aws_iam_role.ci[0].arn
    region   = local.region
  }
}
