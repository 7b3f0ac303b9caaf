# Versions of models, each approved by a person before it is served.

resource "aws_sagemaker_model_package_group" "this" {
  model_package_group_name        = var.name
  model_package_group_description = "Models that ${var.name} registered"
  tags                            = local.tags
}
