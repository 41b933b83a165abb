package traffic

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"borderwatch/schemas/access"
)

// Collect reads the world from the reference files and exceptions of a bundle directory. It takes the files as right:
// whether they are is for the bundle's own reader to say.
func Collect(bundle fs.FS) (*World, error) {
	c := collector{world: &World{}, fsys: bundle, entities: make(map[string]string)}
	err := fs.WalkDir(bundle, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" && path.Ext(name) != ".yml" {
			return err
		}
		if err := c.file(name); err != nil {
			return fmt.Errorf("traffic: %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range c.world.People {
		p := &c.world.People[i]
		p.EmployerCountry = c.entities[p.Employer]
	}
	return c.world, c.world.check()
}

type collector struct {
	world    *World
	fsys     fs.FS
	entities map[string]string // country by id
}

// document holds the keys of every format that matters here; a file has those of its own.
type document struct {
	Format    string           `yaml:"format"`
	People    []rosterEntry    `yaml:"people"`
	Services  []rosterEntry    `yaml:"services"`
	Datasets  []datasetEntry   `yaml:"datasets"`
	Entities  []entityEntry    `yaml:"entities"`
	Sites     []siteEntry      `yaml:"sites"`
	Lists     []listEntry      `yaml:"lists"`
	Approvals []approvalEntry  `yaml:"approvals"`
	ID        string           `yaml:"id"`
	From      string           `yaml:"valid_from"`
	Until     string           `yaml:"valid_until"`
	When      map[string]texts `yaml:"when"`
}

type rosterEntry struct {
	ID       string    `yaml:"id"`
	Kind     string    `yaml:"kind"`
	Employer string    `yaml:"employer"`
	Home     string    `yaml:"home_country"`
	Region   string    `yaml:"home_region"`
	Office   string    `yaml:"office_country"`
	Groups   texts     `yaml:"groups"`
	Covered  yaml.Node `yaml:"covered_person"`
	span     `yaml:",inline"`
	Job      struct {
		span  `yaml:",inline"`
		Leave []span `yaml:"leave"`
	} `yaml:"employment"`
}

type datasetEntry struct {
	Pattern    string `yaml:"pattern"`
	System     string `yaml:"system"`
	Regions    texts  `yaml:"subject_regions"`
	Classes    texts  `yaml:"classes"`
	Categories texts  `yaml:"categories"`
	Form       string `yaml:"form"`
	Storage    string `yaml:"storage_country"`
	Region     string `yaml:"storage_region"`
	Exporter   string `yaml:"exporter_entity"`
}

type entityEntry struct {
	ID      string `yaml:"id"`
	Country string `yaml:"country"`
}

type siteEntry struct {
	Kind     string `yaml:"kind"`
	Country  string `yaml:"country"`
	Region   string `yaml:"region"`
	Prefixes texts  `yaml:"prefixes"`
}

type listEntry struct {
	File string `yaml:"file"`
	Kind string `yaml:"kind"`
}

type approvalEntry struct {
	ID       string `yaml:"id"`
	Actors   texts  `yaml:"actors"`
	Datasets texts  `yaml:"datasets"`
	Scope    string `yaml:"scope"`
	Ticket   string `yaml:"ticket"`
	span     `yaml:",inline"`
}

type span struct {
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

// texts is a list of scalars, or one scalar. Other values, as a rule's conditions have, are left out.
type texts []string

func (t *texts) UnmarshalYAML(n *yaml.Node) error {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	for _, n := range nodes {
		if n.Kind == yaml.ScalarNode {
			*t = append(*t, n.Value)
		}
	}
	return nil
}

func (c *collector) file(name string) error {
	data, err := fs.ReadFile(c.fsys, name)
	if err != nil {
		return err
	}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var node yaml.Node
		if err := dec.Decode(&node); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var head struct {
			Format string `yaml:"format"`
		}
		if err := node.Decode(&head); err != nil || !slices.Contains(formats, head.Format) {
			continue // not one of the files that traffic is drawn from
		}
		var d document
		if err := node.Decode(&d); err != nil {
			return err
		}
		if err := c.document(name, &d); err != nil {
			return err
		}
	}
}

const exceptionFormat = "borderwatch/exception/v1"

var formats = []string{"borderwatch/roster/v1", "borderwatch/catalogue/v1", "borderwatch/entities/v1",
	"borderwatch/networks/v1", "borderwatch/approvals/v1", exceptionFormat}

func (c *collector) document(name string, d *document) error {
	c.roster(d)
	for _, e := range d.Datasets {
		c.world.Datasets = append(c.world.Datasets, e.datasets()...)
	}
	for _, e := range d.Entities {
		c.entities[e.ID] = e.Country
	}
	for _, e := range d.Sites {
		c.world.Sites = append(c.world.Sites, Site{e.Kind, orRegion(e.Country, e.Region), prefixes(e.Prefixes)})
	}
	for _, e := range d.Approvals {
		c.world.Approvals = append(c.world.Approvals,
			Approval{ID: e.ID, Scope: e.Scope, Ticket: e.Ticket, Actors: e.Actors, Datasets: e.Datasets, Valid: days(e.From, e.Until)})
	}
	if d.Format == exceptionFormat {
		c.exception(d)
	}
	for _, e := range d.Lists {
		if err := c.list(name, e); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) roster(d *document) {
	for _, e := range d.People {
		var leave []Days
		for _, l := range e.Job.Leave {
			leave = append(leave, days(l.From, l.Until))
		}
		c.world.People = append(c.world.People, Person{
			ID: e.ID, Kind: e.Kind, Home: orRegion(e.Home, e.Region), Employer: e.Employer, Groups: e.Groups,
			Office: e.Office, Covered: e.covered(), Unexamined: e.unexamined(),
			Listed: days(e.From, e.Until), Employed: days(e.Job.From, e.Job.Until), Leave: leave,
		})
	}
	for _, e := range d.Services {
		id := e.ID
		if prefix, ok := strings.CutSuffix(id, "*"); ok {
			id = prefix + "1"
		}
		c.world.Services = append(c.world.Services, Service{id, cmp.Or(e.Kind, "service"), orRegion(e.Home, e.Region), e.Employer})
	}
}

// covered reads covered_person: a scalar, one answer with its basis, or a list of those. Any yes counts.
func (e *rosterEntry) covered() bool {
	answers := []*yaml.Node{&e.Covered}
	if e.Covered.Kind == yaml.SequenceNode {
		answers = e.Covered.Content
	}
	for _, n := range answers {
		var a struct {
			Answer string `yaml:"answer"`
		}
		if n.Kind == yaml.MappingNode && n.Decode(&a) == nil && a.Answer == "yes" {
			return true
		}
	}
	return false
}

func (e *rosterEntry) unexamined() bool {
	return e.Covered.Kind == yaml.ScalarNode && e.Covered.Value == "unknown"
}

// datasets makes real names of a pattern.
func (e *datasetEntry) datasets() []Dataset {
	names := []string{e.Pattern}
	switch prefix, ok := strings.CutSuffix(e.Pattern, "*"); {
	case ok && strings.HasSuffix(prefix, "."):
		names = []string{prefix + "main", prefix + "archive", prefix + "daily"}
	case ok:
		names = []string{prefix, prefix + "_archive"}
	}
	list := make([]Dataset, len(names))
	for i, name := range names {
		list[i] = Dataset{Name: name, System: e.System, Storage: orRegion(e.Storage, e.Region), Regions: e.Regions,
			Classes: e.Classes, Categories: e.Categories, Form: e.Form, Exporter: e.Exporter}
	}
	return list
}

// exception keeps those that pin an actor, a country and a data set.
func (c *collector) exception(d *document) {
	actors, countries, datasets := d.When["actor.id"], d.When["location.country"], d.When["data.dataset"]
	if len(actors) == 0 || len(countries) == 0 || len(datasets) == 0 {
		return
	}
	c.world.Exceptions = append(c.world.Exceptions,
		Exception{ID: d.ID, Actor: actors[0], Country: countries[0], Dataset: datasets[0], Valid: days(d.From, d.Until)})
}

// list reads the addresses of a list of anonymisers.
func (c *collector) list(document string, e listEntry) error {
	if e.Kind != "vpn" && e.Kind != "tor" && e.Kind != "proxy" {
		return nil
	}
	data, err := fs.ReadFile(c.fsys, e.File)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = fs.ReadFile(c.fsys, path.Join(path.Dir(document), e.File))
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		c.world.Anonymisers = append(c.world.Anonymisers, prefixes([]string{strings.TrimSpace(line)})...)
	}
	return nil
}

// prefixes keeps the IPv4 ones, which addresses are drawn from.
func prefixes(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if addr, bad := netip.ParseAddr(s); err != nil && bad == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err == nil && p.Addr().Is4() {
			out = append(out, p)
		}
	}
	return out
}

func orRegion(country, region string) string {
	if country != "" || region == "" {
		return country
	}
	c, ok := access.RegionCountry(region)
	if !ok {
		return ""
	}
	return c.String()
}

// days reads two days, the last one inclusive. What is no day is open.
func days(from, until string) (d Days) {
	if t, err := time.Parse(time.DateOnly, from); err == nil {
		d.From = t
	}
	if t, err := time.Parse(time.DateOnly, until); err == nil {
		d.End = t.AddDate(0, 0, 1)
	}
	return d
}
