# The role of the step deploy: a job that may also make and change this ground's endpoints.

resource "aws_iam_role" "deploy" {
  name               = "${var.name}-deploy"
  description        = "What the step that deploys may do"
  assume_role_policy = data.aws_iam_policy_document.sagemaker.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.deploy.id
  policy = data.aws_iam_policy_document.deploy.json
}

data "aws_iam_policy_document" "deploy" {
  source_policy_documents = [
    data.aws_iam_policy_document.objects.json,
    data.aws_iam_policy_document.container.json,
    data.aws_iam_policy_document.endpoints.json,
  ]
}

locals {
  endpoint_arns = [for kind in ["endpoint", "endpoint-config", "model"] : "${local.sagemaker}:${kind}/*"]
  # The group's own name ends its packages' too.
  package_arns = [
    aws_sagemaker_model_package_group.this.arn,
    "${local.sagemaker}:model-package/${aws_sagemaker_model_package_group.this.model_package_group_name}/*",
  ]
}

# Also what a person may who rolls back or stops an endpoint (launch.tf).
data "aws_iam_policy_document" "endpoints" {
  statement {
    sid       = "MakeEndpoints"
    actions   = ["sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateModel", "sagemaker:AddTags"]
    resources = local.endpoint_arns
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/trefoil:ground"
      values   = [var.name]
    }
  }

  statement {
    sid = "ChangeEndpoints"
    actions = [
      "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel",
      "sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel",
      "sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync", "sagemaker:ListTags",
      "sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities",
    ]
    resources = local.endpoint_arns
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/trefoil:ground"
      values   = [var.name]
    }
  }

  statement {
    sid       = "ListEndpoints"
    actions   = ["sagemaker:ListEndpoints", "sagemaker:ListEndpointConfigs", "sagemaker:ListModels", "sagemaker:ListModelPackages"]
    resources = ["*"] # name no resource
  }

  statement {
    sid = "Packages"
    actions = [
      "sagemaker:AddTags", "sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage",
      "sagemaker:DescribeModelPackageGroup", "sagemaker:ListTags", "sagemaker:UpdateModelPackage",
    ]
    resources = local.package_arns
  }

  statement {
    sid = "Scale"
    actions = [
      "application-autoscaling:DeregisterScalableTarget", "application-autoscaling:DescribeScalableTargets",
      "application-autoscaling:DescribeScalingPolicies", "application-autoscaling:PutScalingPolicy",
      "application-autoscaling:RegisterScalableTarget",
    ]
    resources = ["*"] # a target's name is SageMaker's variant, whose endpoint is held by its tag
    condition {
      test     = "StringEqualsIfExists"
      variable = "application-autoscaling:service-namespace"
      values   = ["sagemaker"]
    }
  }

  statement {
    sid       = "ScalingRole"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["${local.arn}:iam::${local.account}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/*"]
    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["sagemaker.application-autoscaling.amazonaws.com"]
    }
  }

  statement {
    sid       = "PassServingRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.serving.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["sagemaker.amazonaws.com"]
    }
  }
}
