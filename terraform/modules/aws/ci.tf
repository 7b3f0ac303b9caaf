# GitHub's workflows prove who they are with a token of their own: no key of AWS is kept there.

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.ci != null && try(var.ci.provider_arn, null) == null ? 1 : 0
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
  tags           = local.tags
}

resource "aws_iam_role" "ci" {
  count              = var.ci == null ? 0 : 1
  name               = "${var.name}-ci"
  description        = "What workflows of ${var.ci.repository} in ${var.ci.environment} may do"
  assume_role_policy = data.aws_iam_policy_document.ci[0].json
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "ci" {
  for_each = var.ci == null ? {} : {
    launch    = aws_iam_policy.launch.arn
    endpoints = aws_iam_policy.endpoints.arn
    push      = aws_iam_policy.push.arn
  }
  role       = aws_iam_role.ci[0].name
  policy_arn = each.value
}

data "aws_iam_policy_document" "ci" {
  count = var.ci == null ? 0 : 1

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [coalesce(var.ci.provider_arn, one(aws_iam_openid_connect_provider.github[*].arn))]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values   = [local.subject]
    }
  }
}

# Which branch it is, GitHub says in the subject where the repository asks for that (README.md).
locals {
  subject = var.ci == null ? "" : join(":", compact([
    "repo:${var.ci.repository}:environment:${var.ci.environment}",
    var.ci.branch == null ? "" : "ref:refs/heads/${var.ci.branch}",
  ]))
}
