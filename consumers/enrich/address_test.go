package enrich_test

import (
	"strings"
	"testing"

	"borderwatch/schemas/access"
)

// TestAddresses gives each spelling of an address to a person without other evidence. where is the verdict and, behind
// it, the countries or the reason.
func TestAddresses(t *testing.T) {
	e := newEnricher(t)
	for address, where := range map[string]string{
		publicDE:                               "single DE",
		"::ffff:11.0.2.1":                      "single DE",
		"[::ffff:11.0.2.1]:443":                "single DE",
		"11.0.2.1:51234":                       "single DE",
		" 11.0.2.1 ":                           "single DE",
		"2400::1":                              "single RO",
		"[2400::1]":                            "single RO",
		"[2400::1]:8443":                       "single RO",
		"2400::1%eth0":                         "single RO",
		"[2400::1%eth0]:443":                   "single RO",
		"2001:db8:1::7":                        "single DE", // an office in the documentation range
		somewhereEU:                            "single EUR",
		"":                                     "unknown no-address",
		"unknown":                              "unknown no-address",
		"-":                                    "unknown no-address",
		",":                                    "unknown no-address",
		"255.18.064.253":                       "unknown invalid-address", // a leading zero
		"11.0.2.01":                            "unknown invalid-address",
		"11.0.2":                               "unknown invalid-address",
		"11.0.2.1.1":                           "unknown invalid-address",
		"11.0.2.256":                           "unknown invalid-address",
		"11.0.2.1/32":                          "unknown invalid-address",
		"11.0.2.1:":                            "unknown invalid-address",
		"11.0.2.1:65536":                       "unknown invalid-address",
		"11.0.2.1:http":                        "unknown invalid-address",
		"11.0.2.1%eth0":                        "unknown invalid-address",
		"[11.0.2.1]":                           "unknown invalid-address",
		"[2400::1":                             "unknown invalid-address",
		"[2400::1]443":                         "unknown invalid-address",
		"2400::1%":                             "unknown invalid-address",
		"[]":                                   "unknown invalid-address",
		":":                                    "unknown invalid-address",
		"184549889":                            "unknown invalid-address", // 11.0.2.1 as one number
		"0xb.0.2.1":                            "unknown invalid-address",
		"some.host.example":                    "unknown invalid-address",
		"255.18.64.253":                        "unknown reserved-address",
		"240.0.0.1":                            "unknown reserved-address",
		"255.255.255.255":                      "unknown reserved-address",
		"0.0.0.0":                              "unknown unspecified-address",
		"::":                                   "unknown unspecified-address",
		"0.1.2.3":                              "unknown reserved-address",
		"224.0.0.1":                            "unknown multicast-address",
		"ff02::1":                              "unknown multicast-address",
		"10.9.9.9":                             "unknown private-address",
		"::ffff:10.9.9.9":                      "unknown private-address",
		"172.16.0.1":                           "unknown private-address",
		"172.32.0.1":                           "unknown not-in-database",
		"192.168.1.1:80":                       "unknown private-address",
		"fd00::1":                              "unknown private-address",
		"127.0.0.1":                            "unknown loopback-address",
		"::1":                                  "unknown loopback-address",
		"169.254.169.254":                      "unknown link-local-address",
		"fe80::1%eth0":                         "unknown link-local-address",
		"100.64.0.1":                           "unknown shared-address",
		"198.51.100.1":                         "unknown documentation-address",
		"2001:db8:2::1":                        "unknown documentation-address",
		"198.18.0.1":                           "unknown reserved-address",
		"gce-internal-ip":                      "unknown hidden-address",
		"AWS Internal":                         "masked via-service",
		"private":                              "masked via-service",
		"cloudtrail.amazonaws.com":             "masked via-service",
		"s3.eu-west-1.amazonaws.com":           "masked via-service",
		"storage.googleapis.com":               "masked via-service",
		"ec2-11-0-2-1.compute-1.amazonaws.com": "unknown invalid-address", // a customer's machine
		"ec2-11-0-2-1.eu-west-1.compute.amazonaws.com":   "unknown invalid-address",
		"ec2-11-0-2-1.amazonaws.com":                     "unknown invalid-address",
		"bucket.s3.amazonaws.com":                        "unknown invalid-address",
		"amazonaws.com":                                  "unknown invalid-address",
		"evil.com/cloudtrail.amazonaws.com":              "unknown invalid-address",
		"vm.westeurope.cloudapp.azure.com":               "unknown invalid-address",
		publicDE + "," + publicDE:                        "single DE",
		publicDE + ", " + officeDE:                       "single DE",
		"10.0.0.1, " + publicDE + ",192.168.0.1":         "single DE",
		"10.0.0.1,127.0.0.1":                             "unknown private-address",
		publicDE + "," + publicCN:                        "unknown mixed-addresses",
		publicDE + "," + unplaced:                        "unknown mixed-addresses",
		publicDE + ",AWS Internal":                       "unknown mixed-addresses",
		publicDE + ",<script>":                           "unknown invalid-address",
		publicDE + "," + vpn:                             "masked vpn",
		vpn + "," + torExit + "," + publicDE:             "masked vpn",
		publicDE + strings.Repeat(","+publicDE, 16):      "unknown invalid-address",
		publicDE + "," + strings.Repeat(" ", 2000) + "1": "unknown invalid-address",
	} {
		ev := newEvent()
		ev.Actor.Kind, ev.Source.Address = access.ActorEmployee, address
		e.Enrich(ev)
		l := &ev.Location
		got := l.Verdict.String() + " " + l.Reason
		if l.Verdict == access.LocationSingle {
			got = "single " + l.Candidates.String()
			if region := place(t, "EUR").Countries(); l.Candidates == region {
				got = "single EUR"
			}
		}
		if got != where {
			t.Errorf("%q: %s, want %s", address, got, where)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{publicDE, "[2400::1%eth0]:443", "::ffff:1.2.3.4", "255.18.064.253", "AWS Internal", "gce-internal-ip",
		"10.0.0.1, 11.0.2.1,x", "s3.eu-west-1.amazonaws.com", "[", "%", ":", ",,,", "1.2.3.4:99999", "[::1%]", "::%a,::"} {
		f.Add(s)
	}
	e := newEnricher(f)
	w := e.NewWorker()
	f.Fuzz(func(t *testing.T, address string) {
		ev := newEvent()
		ev.Actor.Kind, ev.Source.Address = access.ActorEmployee, address
		w.Enrich(ev)
		first := ev.Location
		if first.Candidates.Empty() {
			t.Fatalf("%q leaves no country", address)
		}
		if all := first.Candidates.All(); all != (first.Verdict == access.LocationMasked || first.Verdict == access.LocationUnknown) {
			t.Fatalf("%q: %s leaves %s", address, first.Verdict, first.Candidates)
		}
		w.Enrich(ev) // from the cache
		e.Enrich(ev) // without
		if ev.Location != first {
			t.Fatalf("%q: a second look differs: %+v, %+v", address, first, ev.Location)
		}
	})
}
