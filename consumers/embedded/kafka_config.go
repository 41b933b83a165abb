package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// node is one broker of a test cluster, controller and broker in one.
type node struct {
	id         int // from 1
	dir        string
	port       int
	controller int // port
	proc       *process
}

func (n *node) addr() string { return hostPort(n.port) }

// writeProperties writes the node's server.properties and, for TLS, its PEM files.
func (k *Kafka) writeProperties(n *node) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	lines := k.properties(n)
	if k.cfg.TLS != nil {
		pem := filepath.Join(n.dir, "server.pem")
		if err := os.WriteFile(pem, slices.Concat(k.cfg.TLS.KeyPEM, k.cfg.TLS.CertPEM), 0o600); err != nil {
			return err
		}
		lines = append(lines, "ssl.keystore.type=PEM", "ssl.keystore.location="+pem)
	}
	text := strings.Join(lines, "\n") + "\n"
	return os.WriteFile(filepath.Join(n.dir, "server.properties"), []byte(text), 0o600)
}

// properties describes a node small enough that three fit into a gigabyte. The
// clients' listener is OUT; brokers talk over IN and controllers over CTL, plain,
// whatever clients must do.
func (k *Kafka) properties(n *node) []string {
	replicas := min(3, len(k.nodes))
	var voters []string
	for _, m := range k.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", m.id, hostPort(m.controller)))
	}
	lines := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", n.id),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		"controller.listener.names=CTL",
		"inter.broker.listener.name=IN",
		fmt.Sprintf("listeners=OUT://%s,IN://%s:0,CTL://%s", n.addr(), loopback, hostPort(n.controller)),
		"listener.security.protocol.map=IN:PLAINTEXT,CTL:PLAINTEXT,OUT:" + k.protocol(),
		"log.dirs=" + filepath.Join(n.dir, "data"),
		fmt.Sprintf("offsets.topic.replication.factor=%d", replicas),
		fmt.Sprintf("transaction.state.log.replication.factor=%d", replicas),
		"transaction.state.log.min.isr=1",
		fmt.Sprintf("default.replication.factor=%d", replicas),
		"offsets.topic.num.partitions=4",
		"transaction.state.log.num.partitions=4",
		"group.initial.rebalance.delay.ms=0",
		"auto.create.topics.enable=false",
		"num.network.threads=2",
		"num.io.threads=4",
		"log.cleaner.dedupe.buffer.size=2097152",
		"log.cleaner.backoff.ms=500", // at its usual 15 s a test waits for it
		"broker.session.timeout.ms=3000",
		"broker.heartbeat.interval.ms=300",
		"controlled.shutdown.enable=true",
	}
	return append(lines, k.saslProperties()...)
}

func (k *Kafka) protocol() string {
	switch {
	case k.cfg.TLS != nil && len(k.cfg.Credentials) > 0:
		return "SASL_SSL"
	case k.cfg.TLS != nil:
		return "SSL"
	case len(k.cfg.Credentials) > 0:
		return "SASL_PLAINTEXT"
	}
	return "PLAINTEXT"
}

func (k *Kafka) saslProperties() []string {
	var mechanisms, plain []string
	for _, c := range k.cfg.Credentials {
		if !slices.Contains(mechanisms, c.Mechanism) {
			mechanisms = append(mechanisms, c.Mechanism)
		}
		if c.Mechanism == Plain {
			plain = append(plain, fmt.Sprintf(`user_%s="%s"`, c.User, c.Password))
		}
	}
	if len(mechanisms) == 0 {
		return nil
	}
	lines := []string{"sasl.enabled.mechanisms=" + strings.Join(mechanisms, ",")}
	for _, m := range mechanisms {
		module := "org.apache.kafka.common.security.scram.ScramLoginModule required"
		if m == Plain {
			module = "org.apache.kafka.common.security.plain.PlainLoginModule required " + strings.Join(plain, " ")
		}
		lines = append(lines, fmt.Sprintf("listener.name.out.%s.sasl.jaas.config=%s;", strings.ToLower(m), module))
	}
	return lines
}

// formatArgs are StorageTool's arguments to prepare the node's data directory.
func (k *Kafka) formatArgs(n *node) []string {
	args := []string{"format", "--ignore-formatted", "-t", k.clusterID, "-c", filepath.Join(n.dir, "server.properties")}
	for _, c := range k.cfg.Credentials {
		if c.Mechanism != Plain {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", c.Mechanism, c.User, c.Password))
		}
	}
	return args
}
