# Where the workspace keeps its secrets; who may read one, roles say alone. What is stored is
# encrypted with keys of Azure's own.

resource "azurerm_key_vault" "this" {
  name                       = "${var.name}-${local.ours}"
  resource_group_name        = azurerm_resource_group.this.name
  location                   = var.region
  tenant_id                  = data.azurerm_client_config.this.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 7
  tags                       = local.tags
}
