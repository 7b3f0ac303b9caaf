# Clusters without a machine while nothing runs. Nobody can log in to one.

locals {
  clusters = {
    cpu    = { priority = "Dedicated", size = var.instance_type, nodes = var.max_nodes, identity = "train" }
    spot   = { priority = "LowPriority", size = var.instance_type, nodes = var.max_nodes, identity = "train" }
    deploy = { priority = "Dedicated", size = "Standard_DS2_v2", nodes = 1, identity = "deploy" }
  }
}

# A container can take on any identity that its machine has. So each cluster has one.
resource "azurerm_machine_learning_compute_cluster" "this" {
  for_each                      = local.clusters
  name                          = each.key
  machine_learning_workspace_id = azurerm_machine_learning_workspace.this.id
  location                      = var.region
  vm_priority                   = each.value.priority
  vm_size                       = each.value.size
  subnet_resource_id            = var.subnet
  local_auth_enabled            = false
  ssh_public_access_enabled     = false
  tags                          = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.this[each.value.identity].id]
  }

  scale_settings {
    min_node_count                       = 0
    max_node_count                       = each.value.nodes
    scale_down_nodes_after_idle_duration = "PT2M"
  }
}
