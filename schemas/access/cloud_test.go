package access_test

import (
	"testing"

	"borderwatch/schemas/access"
)

func TestRegionCountry(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "US", "eu-central-1": "DE", "eu-central-2": "CH", "ap-southeast-7": "TH", "cn-north-1": "CN",
		"europe-west3": "DE", "europe-west3-b": "DE", "us": "US", "northeurope": "IE", "westeurope": "NL",
		"eu": "unknown", "global": "unknown", "": "unknown", "-a": "unknown", "us-east-1-x1": "unknown", "aws-global": "unknown",
	} {
		got, ok := access.RegionCountry(region)
		if got.String() != want || ok != (want != "unknown") {
			t.Errorf("RegionCountry(%q) = %s, %v; want %s", region, got, ok, want)
		}
	}
}

func TestGlobalService(t *testing.T) {
	for _, row := range []struct {
		service, region string
		want            bool
	}{
		{"iam.amazonaws.com", "us-east-1", true},
		{"iam", "us-gov-west-1", true},
		{"sts.amazonaws.com", "us-east-1", true},
		{"sts.amazonaws.com", "eu-west-1", false},
		{"s3.amazonaws.com", "us-east-1", false},
		{"", "us-east-1", false},
	} {
		if got := access.GlobalService(row.service, row.region); got != row.want {
			t.Errorf("GlobalService(%q, %q) = %v", row.service, row.region, got)
		}
	}
}

// TestCountryRegion: every country with a region gives one that lies in it.
func TestCountryRegion(t *testing.T) {
	found := 0
	for c := access.Country(1); int(c) <= access.CountryCount; c++ {
		region := access.CountryRegion(c)
		if region == "" {
			continue
		}
		found++
		if got, ok := access.RegionCountry(region); !ok || got != c {
			t.Errorf("%s: %s lies in %s", c, region, got)
		}
	}
	if found < 30 || access.CountryRegion(0) != "" {
		t.Errorf("%d countries with a region", found)
	}
}
