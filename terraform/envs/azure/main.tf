# One subscription's ground. State lies where `terraform init -backend-config=backend.hcl` says.

terraform {
  required_version = ">= 1.9"
  backend "azurerm" {}
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.55, < 5.0"
    }
  }
}

provider "azurerm" {
  subscription_id     = var.subscription
  storage_use_azuread = true # the account takes no keys

  features {
    key_vault {
      purge_soft_delete_on_destroy = false # what is protected cannot be
    }
    resource_group {
      prevent_deletion_if_contains_resources = true
    }
  }
}

module "ground" {
  source = "../../modules/azure"

  region                 = var.region
  name                   = var.name
  prefix                 = var.prefix
  expire_runs_after_days = var.expire_runs_after_days
  instance_type          = var.instance_type
  max_nodes              = var.max_nodes
  subnet                 = var.subnet
  launchers              = var.launchers
  tracking_uri           = var.tracking_uri
  experiment             = var.experiment
  ci                     = var.ci
  schedule               = var.schedule
  budget                 = var.budget
  autoscale              = var.autoscale
  tags                   = var.tags
}
