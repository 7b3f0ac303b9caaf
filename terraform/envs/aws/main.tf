# One account's ground. State lies where `terraform init -backend-config=backend.hcl` says.

terraform {
  required_version = ">= 1.9"
  backend "s3" {}
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}

module "ground" {
  source = "../../modules/aws"

  name                   = var.name
  prefix                 = var.prefix
  images                 = var.images
  image_count            = var.image_count
  expire_runs_after_days = var.expire_runs_after_days
  force_destroy          = var.force_destroy
  subnets                = var.subnets
  security_groups        = var.security_groups
  tracking_uri           = var.tracking_uri
  experiment             = var.experiment
  ci                     = var.ci
  schedule               = var.schedule
  budget                 = var.budget
  tags                   = var.tags
}
