# The registry of images. It has no password; runs name an image by its digest, as tags can be moved.

resource "azurerm_container_registry" "this" {
  name                   = local.unique
  resource_group_name    = azurerm_resource_group.this.name
  location               = var.region
  sku                    = "Standard"
  admin_enabled          = false
  anonymous_pull_enabled = false
  tags                   = local.tags
}
