# The workspace of Azure ML, what it knows of the container, and the logs.

resource "azurerm_machine_learning_workspace" "this" {
  name                           = var.name
  resource_group_name            = azurerm_resource_group.this.name
  location                       = var.region
  application_insights_id        = azurerm_application_insights.this.id
  key_vault_id                   = azurerm_key_vault.this.id
  storage_account_id             = azurerm_storage_account.this.id
  container_registry_id          = azurerm_container_registry.this.id
  primary_user_assigned_identity = azurerm_user_assigned_identity.this["workspace"].id
  v1_legacy_mode_enabled         = false
  tags                           = local.tags
  depends_on                     = [azurerm_role_assignment.workspace]

  # A step on serverless machines has an identity of the workspace: the one of trainings.
  identity {
    type         = "UserAssigned"
    identity_ids = [for name in ["workspace", "train"] : azurerm_user_assigned_identity.this[name].id]
  }
}

# It holds no key: whoever reads through it does so with an identity of their own.
resource "azurerm_machine_learning_datastore_blobstorage" "this" {
  name                       = replace(var.name, "-", "_")
  workspace_id               = azurerm_machine_learning_workspace.this.id
  storage_container_id       = azurerm_storage_container.this.resource_manager_id
  service_data_auth_identity = "None"
}

# What Azure ML does of its own accord, with what the workspace is made of. No job has this identity.
resource "azurerm_role_assignment" "workspace" {
  for_each = {
    account = { scope = azurerm_storage_account.this.id, role = "Storage Account Contributor" }
    blobs   = { scope = azurerm_storage_account.this.id, role = "Storage Blob Data Contributor" }
    vault   = { scope = azurerm_key_vault.this.id, role = "Key Vault Contributor" }
    secrets = { scope = azurerm_key_vault.this.id, role = "Key Vault Secrets Officer" }
    images  = { scope = azurerm_container_registry.this.id, role = "AcrPull" }
    metrics = { scope = azurerm_application_insights.this.id, role = "Application Insights Component Contributor" }
  }
  scope                = each.value.scope
  role_definition_name = each.value.role
  principal_id         = azurerm_user_assigned_identity.this["workspace"].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_log_analytics_workspace" "this" {
  name                = var.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  sku                 = "PerGB2018"
  retention_in_days   = 30
  tags                = local.tags
}

resource "azurerm_application_insights" "this" {
  name                = var.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  application_type    = "web"
  workspace_id        = azurerm_log_analytics_workspace.this.id
  tags                = local.tags
}
