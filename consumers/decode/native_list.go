package decode

import (
	"fmt"

	"borderwatch/schemas/access"
)

// items reads data.items: the further data sets, after the one of the data.* fields.
func (n *native) items() error {
	return n.objects("data.items", n.dataItem)
}

// objects reads a list of objects; null is an empty one.
func (n *native) objects(name string, one func() error) error {
	if n.peek() == 'n' {
		return n.literal("null")
	}
	if n.peek() != '[' {
		return n.wrongType(name, "a list of objects")
	}
	if err := n.enter(); err != nil {
		return err
	}
	if n.peek() != ']' {
		for more := true; more; {
			if n.peek() != '{' {
				return n.wrongType(name, "an object")
			}
			err := one()
			if err != nil {
				return err
			}
			if more, err = n.more(']'); err != nil {
				return err
			}
		}
	}
	n.leave()
	return nil
}

// dataItem reads one further data set. Its fields are claimed within the item, so the record's own claims are kept
// aside meanwhile.
func (n *native) dataItem() error {
	if len(n.ev.Data.Items) > MaxItems {
		return &Malformed{CodeValue, fmt.Sprintf("has more than %d data sets", MaxItems), "data.items", n.pos}
	}
	kept, from := n.given&n.names.perItem, len(n.keys)
	n.given &^= n.names.perItem
	n.ev.AddItem()
	n.item = len(n.ev.Data.Items) - 1
	if err := n.object(scopeItem); err != nil {
		return err
	}
	if err := n.duplicate(from); err != nil {
		return err
	}
	n.keys = n.keys[:from]
	n.given = n.given&^n.names.perItem | kept
	n.item = 0
	return nil
}

// MaxItems is how many data sets one access may name besides the first.
const MaxItems = 1024

// evidence reads location.evidence, the one part of a location that a source may give.
func (n *native) evidence() error {
	return n.objects("location.evidence", n.onePiece)
}

// piece is one element of location.evidence as it was read.
type piece struct {
	kind, country, address string
	at                     int
}

func (n *native) onePiece() error {
	p := piece{at: n.pos}
	from := len(n.keys)
	if err := n.enter(); err != nil {
		return err
	}
	if n.peek() != '}' {
		for more := true; more; {
			err := n.pieceMember(&p)
			if err != nil {
				return err
			}
			if more, err = n.more('}'); err != nil {
				return err
			}
		}
	}
	n.leave()
	if err := n.duplicate(from); err != nil {
		return err
	}
	n.keys = n.keys[:from]
	return n.keep(&p)
}

func (n *native) pieceMember(p *piece) error {
	if err := n.pushKey(); err != nil {
		return err
	}
	var to *string
	switch name := n.keys[len(n.keys)-1].name; name {
	case "kind":
		to = &p.kind
	case "country":
		to = &p.country
	case "address":
		to = &p.address
	default:
		n.extra++
		return n.skip()
	}
	if n.peek() != '"' {
		return n.wrongType("location.evidence", "a string")
	}
	var err error
	if *to, err = n.string(); err == nil && n.control >= 0 {
		return &Malformed{CodeControl, "a control character stands in the value", "location.evidence", n.control}
	}
	return err
}

// keep puts a piece of evidence into the event; each kind may come once.
func (n *native) keep(p *piece) error {
	bad := func(format string, args ...any) error {
		return &Malformed{CodeValue, fmt.Sprintf(format, args...), "location.evidence", p.at}
	}
	presence := &n.ev.Presence
	if p.kind == "client_address" {
		if p.address == "" || p.country != "" || presence.ClientAddress != "" {
			return bad("client_address wants one address and no country, once")
		}
		presence.ClientAddress = p.address
		return nil
	}
	var to *access.Place
	switch p.kind {
	case "badge":
		to = &presence.Badge
	case "device":
		to = &presence.Device
	default:
		return bad("%q is not one of badge, device, client_address", clip(p.kind))
	}
	place, ok := access.ParsePlace(p.country)
	if !ok || p.address != "" {
		return bad("%q is not a country code, or an address stands beside it", clip(p.country))
	}
	if *to != 0 {
		return bad("%s is given twice", p.kind)
	}
	*to = place
	return nil
}
