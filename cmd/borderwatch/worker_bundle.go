package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
	"borderwatch/rules/release"
	"borderwatch/schemas/alert"
)

// openBundles puts the first bundle in force and says how it is signed.
func (w *worker) openBundles(ctx context.Context, metrics *pipeline.Metrics) error {
	policy, err := activationPolicy(w.cfg.Bundle)
	if err != nil {
		return err
	}
	origin, err := w.origin(policy)
	if err != nil {
		return err
	}
	w.bundles = bundle.NewManager(origin, w.store, w.log)
	w.bundles.Policy, w.bundles.History = policy, w.store
	w.bundles.OnChange, w.bundles.OnActivate = metrics.BundleInForce, w.recordActivation
	w.bundles.OnRefusal = func(err error) {
		metrics.BundleRefused()
		notice := store.Notice{Kind: store.NoticeRefusedBundle, Severity: alert.High, Time: time.Now(), Text: err.Error(),
			Subject: fmt.Sprintf("%s %x", w.instance(), sha256.Sum256([]byte(err.Error())))}
		if err := w.store.InsertNotice(ctx, notice); err != nil {
			w.log.Error("the refusal of a bundle could not be stored as a notice", "error", err)
		}
	}
	switch {
	case policy == nil:
		w.log.Warn("UNSIGNED: this worker judges by whatever lies in the folder (bundle.unsigned)", "folder", w.cfg.Bundle.Dir)
	case policy.Development:
		w.log.Warn("DEVELOPMENT: one key signs for everybody; nothing here is evidence of who approved what", "policy", w.cfg.Bundle.Policy)
	default:
		w.log.Info("bundles need the signatures of the activation policy", "policy", w.cfg.Bundle.Policy, "sha256", policy.Digest, "environment", policy.Environment)
	}
	return w.bundles.Start(ctx)
}

// activationPolicy reads the policy, nil where unsigned bundles are taken.
func activationPolicy(c config.Bundle) (*release.Policy, error) {
	if c.Unsigned {
		return nil, nil
	}
	return readPolicy(c.Policy)
}

func readPolicy(file string) (*release.Policy, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("activation policy: %w", err)
	}
	policy, err := release.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return policy, nil
}

// origin is where the configuration says that bundles come from.
func (w *worker) origin(policy *release.Policy) (bundle.Origin, error) {
	c := w.cfg.Bundle
	source := bundleSource(c)
	switch {
	case c.Unsigned:
		return source, nil
	case c.DevelopmentKey != "":
		key, err := readSigningKey(c.DevelopmentKey)
		return bundle.Development{Source: source, Key: key, Environment: policy.Environment}, err
	case c.File != "":
		return bundleFile(c.File, c), nil
	}
	return newActivationTopic(w.kafka, w.store, c.Topic, policy.Environment)
}

func bundleFile(file string, c config.Bundle) bundle.File {
	return bundle.File{Path: file, Databases: bundle.Databases{GeoIP: c.GeoIP, GeoIPSecond: c.GeoIPSecond}}
}

func bundleSource(c config.Bundle) bundle.Source {
	return bundle.Source{Dir: c.Dir, GeoIP: c.GeoIP, GeoIPSecond: c.GeoIPSecond}
}

// recordActivation makes the leaf of a bundle that comes into force at this worker. From which offset it judges a partition
// is in that partition's batches.
func (w *worker) recordActivation(ctx context.Context, b *bundle.Bundle) error {
	who := make([]string, 0, len(b.Signers))
	for _, s := range b.Signers {
		who = append(who, s.Role+" "+s.Name)
	}
	if len(who) == 0 {
		who = append(who, bundle.Unsigned)
	}
	note := "at " + w.instance() + ", " + strings.Join(who, ", ")
	leaf := ledger.Activation{Bundle: b.Digest, Note: fmt.Sprintf("%.200s", note), Time: time.Now().UTC().Truncate(time.Millisecond)}
	_, err := w.ledger.Append(ctx, leaf)
	return err
}

// checkLedger asks the ledger for something that is not there: its answer is what counts.
func (w *worker) checkLedger(ctx context.Context) error {
	_, _, err := w.ledger.Head(ctx, ledger.Key{Source: "readyz", Topic: "readyz"})
	return err
}

// checkBundle warns of a refused bundle and of one that is unsigned. The one in force judges on, so the worker is ready.
func (w *worker) checkBundle() error {
	if why := w.bundles.Refusal(); why != "" {
		return degraded{fmt.Errorf("refused, the one before stays in force: %.2000s", why)}
	}
	switch w.bundles.Current().Signatures() {
	case bundle.Unsigned:
		return degraded{errors.New("unsigned: judged by whatever lies in bundle.dir")}
	case bundle.SignedDevelopment:
		return degraded{errors.New("signed by a development key that stands for everybody")}
	}
	return nil
}
