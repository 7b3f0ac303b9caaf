# Data, runs, models: one private, versioned container that is reached by TLS and identity alone.

resource "azurerm_storage_account" "this" {
  name                            = local.unique
  resource_group_name             = azurerm_resource_group.this.name
  location                        = var.region
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  allow_nested_items_to_be_public = false
  https_traffic_only_enabled      = true
  min_tls_version                 = "TLS1_2"
  local_user_enabled              = false
  tags                            = local.tags

  # Azure deletes a container with what is in it: for 30 days it can be had back.
  blob_properties {
    versioning_enabled = true

    delete_retention_policy {
      days = 30
    }

    container_delete_retention_policy {
      days = 30
    }
  }
}

resource "azurerm_storage_container" "this" {
  name                  = var.name
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "this" {
  storage_account_id = azurerm_storage_account.this.id

  rule {
    name    = "leftovers"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      version {
        delete_after_days_since_creation = 30
      }
    }
  }

  # Checkpoints are of use to the run that wrote them, and to no other.
  rule {
    name    = "checkpoints"
    enabled = true
    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["${azurerm_storage_container.this.name}/${var.prefix}/checkpoints/"]
    }
    actions {
      base_blob {
        delete_after_days_since_modification_greater_than = 30
      }
    }
  }

  dynamic "rule" {
    for_each = var.expire_runs_after_days > 0 ? [var.expire_runs_after_days] : []
    content {
      name    = "runs"
      enabled = true
      filters {
        blob_types   = ["blockBlob"]
        prefix_match = ["${azurerm_storage_container.this.name}/${var.prefix}/runs/"]
      }
      actions {
        base_blob {
          delete_after_days_since_modification_greater_than = rule.value
        }
      }
    }
  }
}
