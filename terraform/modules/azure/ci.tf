# GitHub's workflows prove who they are with a token of their own: no secret of Azure's is kept there.

resource "azurerm_federated_identity_credential" "ci" {
  count               = var.ci == null ? 0 : 1
  name                = "github"
  resource_group_name = azurerm_resource_group.this.name
  parent_id           = azurerm_user_assigned_identity.this["ci"].id
  issuer              = "https://token.actions.githubusercontent.com"
  audience            = ["api://AzureADTokenExchange"]
  subject             = local.subject
}

# Which branch it is, GitHub says in the subject where the repository asks for that (README.md).
locals {
  subject = var.ci == null ? "" : join(":", compact([
    "repo:${var.ci.repository}:environment:${var.ci.environment}",
    var.ci.branch == null ? "" : "ref:refs/heads/${var.ci.branch}",
  ]))
}
