# One project's ground. State lies where `terraform init -backend-config=backend.hcl` says.

terraform {
  required_version = ">= 1.9"
  backend "gcs" {}
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 7.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

module "ground" {
  source = "../../modules/gcp"

  project                = var.project
  region                 = var.region
  name                   = var.name
  prefix                 = var.prefix
  expire_runs_after_days = var.expire_runs_after_days
  force_destroy          = var.force_destroy
  network                = var.network
  launchers              = var.launchers
  tracking_uri           = var.tracking_uri
  experiment             = var.experiment
  ci                     = var.ci
  schedule               = var.schedule
  budget                 = var.budget
  labels                 = var.labels
}
