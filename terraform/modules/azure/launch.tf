# What people, CI and the clock may do: launch, watch and stop runs, look after endpoints.

locals {
  people    = { for each in var.launchers : each => each }
  launchers = merge(local.people, { for name in ["ci", "scheduled"] : name => local.principals[name] if contains(local.asked, name) })
  pushers   = merge(local.people, { for name in ["ci"] : name => local.principals[name] if contains(local.asked, name) })
  asked     = concat(var.ci == null ? [] : ["ci"], var.schedule == null ? [] : ["scheduled"])
}

resource "azurerm_role_definition" "launch" {
  name              = "${var.name} launch ${local.ours}"
  description       = "Launch, watch and stop runs"
  scope             = azurerm_resource_group.this.id # Azure defines roles no lower
  assignable_scopes = [azurerm_resource_group.this.id]

  permissions {
    actions = [for right in [
      "read", "computes/read", "datastores/read",
      "components/read", "components/write", "components/versions/read", "components/versions/write",
      "environments/read", "environments/write", "environments/versions/read", "environments/versions/write",
      "experiments/read", "experiments/write",
      "experiments/runs/read", "experiments/runs/write", "experiments/runs/submit/action",
      "jobs/read", "jobs/write", "jobs/delete", "jobs/cancel/action", "jobs/operationresults/read",
    ] : "Microsoft.MachineLearningServices/workspaces/${right}"]
  }
}

resource "azurerm_role_assignment" "launch" {
  for_each           = local.launchers
  scope              = azurerm_machine_learning_workspace.this.id
  role_definition_id = azurerm_role_definition.launch.role_definition_resource_id
  principal_id       = each.value
}

# A run is launched with the identities of its steps, and no other.
resource "azurerm_role_assignment" "steps" {
  for_each = {
    for pair in setproduct(keys(local.launchers), ["train", "deploy"]) :
    join(" ", pair) => { principal = local.launchers[pair[0]], identity = pair[1] }
  }
  scope                = azurerm_user_assigned_identity.this[each.value.identity].id
  role_definition_name = "Managed Identity Operator"
  principal_id         = each.value.principal
}

# Whoever builds images pushes them; runs that are launched by the clock need not.
resource "azurerm_role_assignment" "push" {
  for_each             = local.pushers
  scope                = azurerm_container_registry.this.id
  role_definition_name = "AcrPush"
  principal_id         = each.value
}
