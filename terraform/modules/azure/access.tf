# The identities of this ground, and what they share: the container and the images.

resource "azurerm_user_assigned_identity" "this" {
  for_each = toset(concat(
    ["workspace", "train", "deploy", "serving"],
    var.ci == null ? [] : ["ci"],
    var.schedule == null ? [] : ["scheduled"],
  ))
  name                = "${var.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  tags                = local.tags
}

locals {
  principals = { for name, each in azurerm_user_assigned_identity.this : name => each.principal_id }
  # The names are known before anything is made, the ids are not.
  roles = merge(
    { for name in ["train", "deploy"] : name => { objects = "Storage Blob Data Contributor", principal = local.principals[name] } },
    { serving = { objects = "Storage Blob Data Reader", principal = local.principals["serving"] } },
    { for name, principal in local.launchers : name => { objects = "Storage Blob Data Contributor", principal = principal } },
  )
}

resource "azurerm_role_assignment" "objects" {
  for_each             = local.roles
  scope                = azurerm_storage_container.this.resource_manager_id
  role_definition_name = each.value.objects
  principal_id         = each.value.principal
}

resource "azurerm_role_assignment" "pull" {
  for_each             = local.roles
  scope                = azurerm_container_registry.this.id
  role_definition_name = "AcrPull"
  principal_id         = each.value.principal
}
