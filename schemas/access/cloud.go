package access

import "strings"

// RegionCountry returns the country in which a region of a large cloud lies: AWS (eu-central-1), Google Cloud
// (europe-west3, a zone europe-west3-a, the multi-region us) or Azure (germanywestcentral). False for a region that is
// not in the table, for "global", and for multi-regions over several countries (eu).
func RegionCountry(region string) (Country, bool) {
	if c, ok := cloudRegions[region]; ok {
		return c, true
	}
	if n := len(region) - 2; n > 0 && region[n] == '-' && region[n+1] >= 'a' && region[n+1] <= 'z' {
		c, ok := cloudRegions[region[:n]]
		return c, ok
	}
	return 0, false
}

// CountryRegion returns one of the regions that lie in the country, "" where none is known. Rows tell in which country the
// endpoint of a call lay, and no rule asks for more.
func CountryRegion(c Country) string {
	for _, row := range regionRows {
		if code := c.String(); row.country == code {
			region, _, _ := strings.Cut(row.regions, " ")
			return region
		}
	}
	return ""
}

// GlobalService reports whether a call to the AWS service is logged in one region wherever it was made, so that the
// record's region says nothing. service is an event source with or without ".amazonaws.com".
//
// Source: AWS CloudTrail User Guide, "About global service events", and the AWS list of global service endpoints. STS
// and sign-in have regional endpoints beside the global one that logs in us-east-1.
func GlobalService(service, region string) bool {
	home, ok := globalServices[strings.TrimSuffix(service, ".amazonaws.com")]
	return ok && (home == "" || home == region)
}

// globalServices maps a service to the region of its global endpoint, "" where it has no other.
var globalServices = map[string]string{
	"iam": "", "cloudfront": "", "route53": "", "route53domains": "", "organizations": "", "account": "", "billing": "",
	"billingconsole": "", "budgets": "", "ce": "", "cur": "", "consolidatedbilling": "", "freetier": "", "invoicing": "",
	"payments": "", "tax": "", "savingsplans": "", "support": "", "trustedadvisor": "", "health": "", "artifact": "",
	"pricing": "", "shield": "", "waf": "", "globalaccelerator": "", "networkmanager": "", "chatbot": "",
	"marketplacecatalog": "", "importexport": "", "sts": "us-east-1", "signin": "us-east-1", "sso": "us-east-1",
}

// regionRows lists the regions by country. Sources: AWS "Regions and Availability Zones", Google Cloud "Cloud
// locations", Azure "Azure geographies"; as published in 2026.
var regionRows = [...]struct{ country, regions string }{
	{"AE", "me-central-1 uaenorth uaecentral"},
	{"AT", "austriaeast"},
	{"AU", "ap-southeast-2 ap-southeast-4 australia-southeast1 australia-southeast2 australiaeast australiasoutheast australiacentral australiacentral2"},
	{"BE", "europe-west1 belgiumcentral"},
	{"BH", "me-south-1"},
	{"BR", "sa-east-1 southamerica-east1 brazilsouth brazilsoutheast"},
	{"CA", "ca-central-1 ca-west-1 northamerica-northeast1 northamerica-northeast2 canadacentral canadaeast"},
	{"CH", "eu-central-2 europe-west6 switzerlandnorth switzerlandwest"},
	{"CL", "southamerica-west1 chilecentral"},
	{"CN", "cn-north-1 cn-northwest-1 chinaeast chinaeast2 chinaeast3 chinanorth chinanorth2 chinanorth3"},
	{"DE", "eu-central-1 eusc-de-east-1 europe-west3 europe-west10 germanywestcentral germanynorth"},
	{"ES", "eu-south-2 europe-southwest1 spaincentral"},
	{"FI", "europe-north1"},
	{"FR", "eu-west-3 europe-west9 francecentral francesouth"},
	{"GB", "eu-west-2 europe-west2 uksouth ukwest"},
	{"HK", "ap-east-1 asia-east2 eastasia"},
	{"ID", "ap-southeast-3 asia-southeast2 indonesiacentral"},
	{"IE", "eu-west-1 northeurope"},
	{"IL", "il-central-1 me-west1 israelcentral"},
	{"IN", "ap-south-1 ap-south-2 asia-south1 asia-south2 centralindia southindia westindia jioindiawest jioindiacentral"},
	{"IT", "eu-south-1 europe-west8 europe-west12 italynorth"},
	{"JP", "ap-northeast-1 ap-northeast-3 asia-northeast1 asia-northeast2 japaneast japanwest"},
	{"KR", "ap-northeast-2 asia-northeast3 koreacentral koreasouth"},
	{"MX", "mx-central-1 northamerica-south1 mexicocentral"},
	{"MY", "ap-southeast-5 malaysiawest"},
	{"NL", "europe-west4 westeurope"},
	{"NO", "norwayeast norwaywest"},
	{"NZ", "ap-southeast-6 newzealandnorth"},
	{"PL", "europe-central2 polandcentral"},
	{"QA", "me-central1 qatarcentral"},
	{"SA", "me-central2"},
	{"SE", "eu-north-1 europe-north2 swedencentral swedensouth"},
	{"SG", "ap-southeast-1 asia-southeast1 southeastasia"},
	{"TH", "ap-southeast-7"},
	{"TW", "ap-east-2 asia-east1"},
	{"US", "us-east-1 us-east-2 us-west-1 us-west-2 us-gov-east-1 us-gov-west-1 us us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4"},
	{"US", "eastus eastus2 centralus northcentralus southcentralus westus westus2 westus3 westcentralus usgovvirginia usgovarizona usgovtexas usdodeast usdodcentral"},
	{"ZA", "af-south-1 africa-south1 southafricanorth southafricawest"},
}

var cloudRegions = func() map[string]Country {
	m := make(map[string]Country, 140)
	for _, row := range regionRows {
		c, ok := ParseCountry(row.country)
		if !ok {
			panic("access: region table: " + row.country)
		}
		for _, region := range strings.Fields(row.regions) {
			m[region] = c
		}
	}
	return m
}()
