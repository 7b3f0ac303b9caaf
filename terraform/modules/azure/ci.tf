# GitHub's workflows prove who they are with a token of their own: no secret of Azure's is kept there.

resource "azurerm_federated_identity_credential" "ci" {
  count               = var.ci == null ? 0 : 1
  name                = "github"
  resource_group_name = azurerm_resource_group.this.name
  parent_id           = azurerm_user_assigned_identity.this["ci"].id
  issuer              = "https://token.actions.githubusercontent.com"
  audience            = ["api://AzureADTokenExchange"]
  subject             = "repo:${var.ci.repository}:environment:${var.ci.environment}"
}
