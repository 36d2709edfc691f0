# A VPC with private subnets: no internet gateway, no NAT, no route out.

variable "name" {
  description = "Prefix of the names, <project>-<environment>"
  type        = string
}

variable "vpc_cidr" {
  description = "Addresses of the VPC. Each subnet takes a sixteenth."
  type        = string

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 2))
    error_message = "vpc_cidr is \"${var.vpc_cidr}\"; use an IPv4 range such as 10.0.0.0/16."
  }
}

data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394:only the first three by name are used, and a subnet is kept by its zone

  state = "available"

  # Local zones have no Aurora.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  zones = slice(
    data.aws_availability_zones.available.names,
    0,
    min(3, length(data.aws_availability_zones.available.names)),
  )
}

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11:a stand-in for a network that is there already; whether its flows are logged is its owner's choice
  # checkov:skip=CKV2_AWS_12:nothing is placed in the default group, and there is no way out of this network

  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = "${var.name}-vpc" }
}

resource "aws_subnet" "private" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, each.value)
  tags              = { Name = "${var.name}-private-${each.key}", Tier = "private" }
}

output "vpc_id" {
  description = "The VPC"
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Private subnets, one per availability zone"
  value       = [for zone in local.zones : aws_subnet.private[zone].id]
}
