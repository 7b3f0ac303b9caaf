# Copy to backend.hcl. The account is made once, by hand: private, versioned, without keys.
resource_group_name  = "my-terraform"
storage_account_name = "myterraformstate"
container_name       = "state"
key                  = "trefoil/azure.tfstate"
use_azuread_auth     = true
