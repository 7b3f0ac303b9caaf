# What several files here need to know of where they are, and the group that everything is in.

data "azurerm_client_config" "this" {}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.region
  tags     = local.tags
}

locals {
  tags = merge(var.tags, { "trefoil.ground" = var.name })

  # Some names are shared by the whole world, and are letters and digits alone.
  ours   = substr(sha256("${data.azurerm_client_config.this.subscription_id}/${var.name}/${var.region}"), 0, 6)
  unique = "${replace(var.name, "-", "")}${local.ours}"
}
