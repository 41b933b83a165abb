package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	kafkago "github.com/segmentio/kafka-go"
)

// Watermark is the extent of one partition's log.
type Watermark struct {
	Partition     int
	LogStart      int64 // first offset held
	HighWatermark int64 // offset after the last replicated record
}

// Report is what Probe found.
type Report struct {
	ClusterID string
	Broker    string // the broker that was logged in to
	Topics    map[string][]Watermark
	TopicIDs  map[string]string // UUID in Kafka's notation; empty before Kafka 2.8
}

// Probe logs in to a broker and looks at topics. Its errors are meant for the
// operator: credentials refused and by whom, a certificate not trusted, a
// topic that does not exist and the nearest name that does.
func (c *Client) Probe(ctx context.Context, topics ...string) (*Report, error) {
	broker, err := c.login(ctx)
	if err != nil {
		return nil, err
	}
	meta, err := c.metadata(ctx)
	if err != nil {
		return nil, err
	}
	report := &Report{ClusterID: meta.ClusterID, Broker: broker, Topics: map[string][]Watermark{}}
	for _, topic := range topics {
		marks, err := c.Watermarks(ctx, topic)
		if err != nil {
			return nil, err
		}
		report.Topics[topic] = marks
	}
	if report.TopicIDs, err = c.TopicIDs(ctx, topics...); err != nil {
		return nil, err
	}
	return report, nil
}

// login opens one connection to the first broker that answers. The transport
// would report a refused password as a broker that is not available.
func (c *Client) login(ctx context.Context) (string, error) {
	var errs []error
	for _, broker := range c.cfg.Brokers {
		err := c.dial(ctx, broker)
		if err == nil {
			return broker, nil
		}
		if err := c.explainLogin(broker, err); err != nil {
			return "", err
		}
		errs = append(errs, fmt.Errorf("%s: %w", broker, err))
	}
	return "", fmt.Errorf("kafka: no broker could be reached: %w", errors.Join(errs...))
}

// dial opens a connection and asks one question that needs a login where the
// broker wants one.
func (c *Client) dial(ctx context.Context, broker string) error {
	conn, err := c.dialer.DialContext(ctx, "tcp", broker)
	if err != nil {
		return c.explainEnd(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(c.cfg.DialTimeout)); err != nil {
		return err
	}
	_, err = conn.Brokers()
	return c.explainEnd(err)
}

// explainEnd says what a broker may have expected that closed the connection.
func (c *Client) explainEnd(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	switch {
	case c.dialer.TLS == nil && c.mechanism == "":
		return fmt.Errorf("the broker closed the connection, it may expect TLS or a login: %w", err)
	case c.dialer.TLS == nil:
		return fmt.Errorf("the broker closed the connection, it may expect TLS: %w", err)
	case c.mechanism == "":
		return fmt.Errorf("the broker closed the connection, it may expect a login: %w", err)
	}
	return err
}

// explainLogin names the failures that no other broker would cure, and
// returns nil for the rest.
func (c *Client) explainLogin(broker string, err error) error {
	var (
		cert      *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, kafkago.SASLAuthenticationFailed):
		return fmt.Errorf("kafka: credentials refused by %s (user %q, %s): %w", broker, c.cfg.SASL.Username, c.mechanism, err)
	case errors.Is(err, kafkago.UnsupportedSASLMechanism):
		return fmt.Errorf("kafka: %s does not offer %s: %w", broker, c.mechanism, err)
	case errors.As(err, &cert), errors.As(err, &authority):
		return fmt.Errorf("kafka: certificate of %s is not trusted: %w", broker, err)
	case errors.As(err, &record):
		return fmt.Errorf("kafka: %s does not speak TLS on this port: %w", broker, err)
	}
	return nil
}

// ClusterID returns the id that the cluster gave itself.
func (c *Client) ClusterID(ctx context.Context) (string, error) {
	meta, err := c.metadata(ctx)
	if err != nil {
		return "", err
	}
	return meta.ClusterID, nil
}

func (c *Client) metadata(ctx context.Context, topics ...string) (*kafkago.MetadataResponse, error) {
	var meta *kafkago.MetadataResponse
	err := c.retry(ctx, "metadata", func(ctx context.Context) (err error) {
		meta, err = c.api.Metadata(ctx, &kafkago.MetadataRequest{Topics: topics})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: cluster metadata: %w", err)
	}
	return meta, nil
}

// Partitions returns the partition numbers of a topic in ascending order. A
// missing topic is ErrUnknownTopic, with the nearest existing name in the
// message. A topic made elsewhere is seen within Config.MetadataTTL.
func (c *Client) Partitions(ctx context.Context, topic string) ([]int, error) {
	meta, err := c.metadata(ctx, topic)
	if err != nil {
		return nil, err
	}
	t := meta.Topics[0]
	if errors.Is(t.Error, kafkago.UnknownTopicOrPartition) {
		return nil, c.missing(ctx, topic)
	}
	if t.Error != nil && !errors.Is(t.Error, kafkago.LeaderNotAvailable) {
		return nil, fmt.Errorf("kafka: topic %q: %w", topic, t.Error)
	}
	partitions := make([]int, len(t.Partitions))
	for i, p := range t.Partitions {
		partitions[i] = p.ID
	}
	slices.Sort(partitions)
	return partitions, nil
}

func (c *Client) missing(ctx context.Context, topic string) error {
	all, err := c.metadata(ctx)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(all.Topics))
	for _, t := range all.Topics {
		if !t.Internal {
			names = append(names, t.Name)
		}
	}
	hint := "the cluster shows no topics to this user"
	if near := nearest(topic, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	} else if len(names) > 0 {
		hint = fmt.Sprintf("the cluster has %d other topics", len(names))
	}
	return fmt.Errorf("kafka: topic %q does not exist, %s: %w", topic, hint, ErrUnknownTopic)
}

// nearest returns the name that differs least from want, by at most half of
// want's length, or "".
func nearest(want string, names []string) string {
	best, distance := "", len(want)/2+1
	for _, name := range names {
		d := levenshtein.ComputeDistance(strings.ToLower(want), strings.ToLower(name))
		if d < distance || d == distance && best != "" && name < best {
			best, distance = name, d
		}
	}
	return best
}

// Watermarks returns the extent of every partition of a topic, by partition.
func (c *Client) Watermarks(ctx context.Context, topic string) ([]Watermark, error) {
	partitions, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	var marks []Watermark
	err = c.retry(ctx, "offsets", func(ctx context.Context) (err error) {
		marks, err = c.watermarks(ctx, topic, partitions)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: watermarks of %s: %w", topic, err)
	}
	return marks, nil
}

// watermarks makes one attempt.
func (c *Client) watermarks(ctx context.Context, topic string, partitions []int) ([]Watermark, error) {
	req := make([]kafkago.OffsetRequest, 0, 2*len(partitions))
	for _, p := range partitions {
		req = append(req, kafkago.FirstOffsetOf(p), kafkago.LastOffsetOf(p))
	}
	res, err := c.api.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{topic: req}})
	if err != nil {
		return nil, err
	}
	marks := make([]Watermark, 0, len(partitions))
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Partition, p.Error)
		}
		marks = append(marks, Watermark{Partition: p.Partition, LogStart: p.FirstOffset, HighWatermark: p.LastOffset})
	}
	if len(marks) != len(partitions) {
		return nil, fmt.Errorf("offsets of %d partitions instead of %d", len(marks), len(partitions))
	}
	slices.SortFunc(marks, func(a, b Watermark) int { return a.Partition - b.Partition })
	return marks, nil
}
