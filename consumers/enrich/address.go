package enrich

import (
	"net/netip"
	"strings"

	"borderwatch/schemas/access"
)

// The reasons why an address places nobody. They are stored as location's reason.
const (
	reasonNoAddress     = "no-address"
	reasonInvalid       = "invalid-address"
	reasonHidden        = "hidden-address" // the source knows the address and does not say it
	reasonMixed         = "mixed-addresses"
	reasonUnspecified   = "unspecified-address"
	reasonPrivate       = "private-address"
	reasonLoopback      = "loopback-address"
	reasonLinkLocal     = "link-local-address"
	reasonShared        = "shared-address" // carrier-grade NAT
	reasonMulticast     = "multicast-address"
	reasonReserved      = "reserved-address"
	reasonDocumentation = "documentation-address"
	reasonNoDatabase    = "no-database"
	reasonNotInDatabase = "not-in-database"
)

// form tells what stands in an address field.
type form uint8

const (
	formNone     form = iota // nothing, or nothing usable: see the reason
	formIP                   // one address
	formList                 // several, separated by commas
	formPlatform             // a cloud platform's own name
)

// parseAddress reads what a source wrote as the caller's address. It allocates only for text that is no address.
func parseAddress(s string) (ip netip.Addr, f form, reason string) {
	s = strings.TrimSpace(s)
	if s == "" || s == "unknown" || s == "-" {
		return ip, formNone, reasonNoAddress
	}
	if strings.IndexByte(s, ',') >= 0 {
		return ip, formList, ""
	}
	if !addressLike(s) {
		return ip, named(s), nameReason(s)
	}
	ip, ok := parseIP(s)
	if !ok {
		return ip, formNone, reasonInvalid
	}
	return ip, formIP, ""
}

// parseIP reads 192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1], [2001:db8::1]:443 and each IPv6 form with a zone,
// which is cut off: it names an interface of the machine that wrote it. Leading zeros are refused, since some readers
// take them for octal. An IPv4 address in IPv6 form comes back as IPv4.
func parseIP(s string) (netip.Addr, bool) {
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 || !isPort(s[end+1:]) {
			return netip.Addr{}, false
		}
		s = s[1:end]
		if strings.IndexByte(s, ':') < 0 {
			return netip.Addr{}, false
		}
	} else if host, port, ok := strings.Cut(s, ":"); ok && strings.IndexByte(host, '.') >= 0 {
		if !isPort(s[len(s)-len(port)-1:]) {
			return netip.Addr{}, false
		}
		s = host
	}
	if i := strings.IndexByte(s, '%'); i >= 0 {
		if i == len(s)-1 || strings.IndexByte(s[:i], ':') < 0 {
			return netip.Addr{}, false
		}
		s = s[:i] // before parsing: the standard library interns zones for ever
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return ip.Unmap(), true
}

// isPort accepts nothing, or a colon and a number up to 65535.
func isPort(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) < 2 || len(s) > 6 {
		return false
	}
	n := 0
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// addressLike tells an attempt at an address from a name: it starts like one, and is not a host name.
func addressLike(s string) bool {
	if s[0] == '[' || s[0] == ':' {
		return true
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == ':':
			return true
		case c >= '0' && c <= '9', c == '.', c == '/':
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return s[0] >= '0' && s[0] <= '9'
}

// named tells whether a name is a cloud platform's own.
//
//   - "AWS Internal": AWS made the call for the principal (CloudTrail record contents, sourceIPAddress).
//   - "private": one Google service called another (google.rpc.context.AttributeContext, caller_ip in audit logs).
//   - a service of a cloud: cloudtrail.amazonaws.com, storage.googleapis.com. One label, or a label and a region:
//     host names that a cloud gives to its customers' machines (ec2-….compute.amazonaws.com) have more.
func named(s string) form {
	if s == "private" || strings.EqualFold(s, "AWS Internal") || isServiceName(s) {
		return formPlatform
	}
	return formNone
}

// nameReason explains a name that is no platform's own. "gce-internal-ip" is a virtual machine of another organisation,
// whose address Google does not tell: a caller with a hidden address, not a platform.
func nameReason(s string) string {
	switch {
	case named(s) == formPlatform:
		return ""
	case s == "gce-internal-ip":
		return reasonHidden
	}
	return reasonInvalid
}

var platformDomains = [...]string{".amazonaws.com", ".amazonaws.com.cn", ".googleapis.com", ".azure.com", ".windows.net"}

func isServiceName(s string) bool {
	for _, domain := range platformDomains {
		label, ok := strings.CutSuffix(s, domain)
		if !ok {
			continue
		}
		service, region, regional := strings.Cut(label, ".")
		if regional {
			_, regional = access.RegionCountry(region)
			return regional && isLabel(service)
		}
		return isLabel(service)
	}
	return false
}

func isLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "ec2-") && !strings.HasPrefix(s, "ip-")
}

// specials are the ranges that no location database can place. Sources: the IANA IPv4 and IPv6 Special-Purpose Address
// Registries (RFC 6890), RFC 5771 and RFC 1112 for classes D and E, RFC 5737, 3849 and 9637 for documentation.
var specials = [...]struct {
	prefix netip.Prefix
	reason string
}{
	{netip.MustParsePrefix("0.0.0.0/32"), reasonUnspecified},
	{netip.MustParsePrefix("::/128"), reasonUnspecified},
	{netip.MustParsePrefix("0.0.0.0/8"), reasonReserved},
	{netip.MustParsePrefix("10.0.0.0/8"), reasonPrivate},
	{netip.MustParsePrefix("172.16.0.0/12"), reasonPrivate},
	{netip.MustParsePrefix("192.168.0.0/16"), reasonPrivate},
	{netip.MustParsePrefix("fc00::/7"), reasonPrivate},
	{netip.MustParsePrefix("127.0.0.0/8"), reasonLoopback},
	{netip.MustParsePrefix("::1/128"), reasonLoopback},
	{netip.MustParsePrefix("169.254.0.0/16"), reasonLinkLocal},
	{netip.MustParsePrefix("fe80::/10"), reasonLinkLocal},
	{netip.MustParsePrefix("100.64.0.0/10"), reasonShared},
	{netip.MustParsePrefix("192.0.2.0/24"), reasonDocumentation},
	{netip.MustParsePrefix("198.51.100.0/24"), reasonDocumentation},
	{netip.MustParsePrefix("203.0.113.0/24"), reasonDocumentation},
	{netip.MustParsePrefix("2001:db8::/32"), reasonDocumentation},
	{netip.MustParsePrefix("3fff::/20"), reasonDocumentation},
	{netip.MustParsePrefix("192.0.0.0/24"), reasonReserved},
	{netip.MustParsePrefix("198.18.0.0/15"), reasonReserved},
	{netip.MustParsePrefix("224.0.0.0/4"), reasonMulticast},
	{netip.MustParsePrefix("ff00::/8"), reasonMulticast},
	{netip.MustParsePrefix("240.0.0.0/4"), reasonReserved},
	{netip.MustParsePrefix("100::/64"), reasonReserved},
	{netip.MustParsePrefix("fec0::/10"), reasonReserved},
}

// specialStart holds the first bytes of specials, IPv4 then IPv6, to pass quickly over all other addresses.
var specialStart = func() (starts [2][256]bool) {
	for _, row := range specials {
		ip, family := row.prefix.Addr(), 0
		if ip.Is6() {
			family = 1
		}
		first := int(ip.AsSlice()[0])
		for b := first; b < first+1<<max(0, 8-row.prefix.Bits()); b++ {
			starts[family][b] = true
		}
	}
	return starts
}()

// special returns the reason why an address cannot be on the public internet, "" where it can.
func special(ip netip.Addr) string {
	if ip.Is4() {
		if b := ip.As4(); !specialStart[0][b[0]] {
			return ""
		}
	} else if b := ip.As16(); !specialStart[1][b[0]] {
		return ""
	}
	for i := range specials {
		if specials[i].prefix.Contains(ip) {
			return specials[i].reason
		}
	}
	return ""
}
