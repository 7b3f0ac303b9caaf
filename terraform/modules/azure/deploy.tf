# The step deploy, and whoever rolls back or stops an endpoint (launch.tf): they make and change
# endpoints of this workspace, with the one identity of what is served.

resource "azurerm_role_definition" "endpoints" {
  name              = "${var.name} endpoints ${local.ours}"
  description       = "Deploy, roll back and stop endpoints"
  scope             = azurerm_resource_group.this.id # Azure defines roles no lower
  assignable_scopes = [azurerm_resource_group.this.id]

  permissions {
    actions = [for right in [
      "read", "computes/read", "datastores/read",
      "environments/read", "environments/write", "environments/versions/read", "environments/versions/write",
      "models/read", "models/write", "models/versions/read", "models/versions/write", "models/versions/delete",
      "onlineEndpoints/read", "onlineEndpoints/write", "onlineEndpoints/delete",
      "onlineEndpoints/score/action", "onlineEndpoints/token/action",
      "onlineEndpoints/deployments/*", # no list names the right to a deployment's logs
      "onlineEndpoints/operationresults/read", "onlineEndpoints/operationsstatus/read",
    ] : "Microsoft.MachineLearningServices/workspaces/${right}"]
  }
}

resource "azurerm_role_assignment" "endpoints" {
  for_each           = merge({ deploy = local.principals["deploy"] }, local.launchers)
  scope              = azurerm_machine_learning_workspace.this.id
  role_definition_id = azurerm_role_definition.endpoints.role_definition_resource_id
  principal_id       = each.value
}

resource "azurerm_role_assignment" "serve" {
  for_each             = merge({ deploy = local.principals["deploy"] }, local.launchers)
  scope                = azurerm_user_assigned_identity.this["serving"].id
  role_definition_name = "Managed Identity Operator"
  principal_id         = each.value
}
