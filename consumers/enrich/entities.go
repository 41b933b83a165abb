package enrich

import "borderwatch/schemas/access"

// Entity is a legal entity: an employer, an exporter or an importer of data.
type Entity struct {
	ID      string
	Title   string         // its name; decides nothing
	Country access.Country // place of establishment (EDPB Guidelines 05/2021: what makes a recipient an importer)
	Role    string         // a word of EntityRoles
	Valid   Span
}

// EntityRoles are the roles of an entity: those of Art. 4 and 28 GDPR, and vendor for any other company.
var EntityRoles = []string{"controller", "joint_controller", "processor", "sub_processor", "vendor", "authority"}

// readEntities reads one borderwatch/entities/v1 document.
func (b *builder) readEntities(o object) {
	o.only("format", "version", "entities")
	for _, e := range o.objects("entities") {
		e.only("id", "title", "country", "role", "from", "until")
		n := Entity{ID: e.required("id"), Title: e.text("title"), Country: e.country("country"),
			Role: EntityRoles[e.oneOf("role", EntityRoles)], Valid: e.span()}
		if e.text("country") == "" {
			e.fail(e.node, "", "country is missing")
		}
		if n.ID != "" && n.ID[len(n.ID)-1] == '*' {
			e.fail(e.at("id"), "", "id: an entity needs an exact id")
		}
		add(&b.entities, e, "id", n.ID, n.Valid, n)
	}
}
