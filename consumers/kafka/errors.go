package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// ErrFenced reports a commit by a member that no longer belongs to the
// group's current generation (Kafka errors 22, 25, 27 and 82). Whoever gets
// it must stop writing for its partitions: another member owns them.
var ErrFenced = errors.New("fenced: this member is not in the group's current generation")

// ErrNotAssigned reports a commit for a partition that the generation does
// not own. Brokers accept such commits, so it is refused on this side.
var ErrNotAssigned = errors.New("partition is not assigned to this member")

// ErrGroupClosed is what Group.Next returns after Group.Close.
var ErrGroupClosed = kafkago.ErrGroupClosed

// ErrUnknownTopic reports a topic or partition that does not exist, or that
// the user may not see.
var ErrUnknownTopic error = kafkago.UnknownTopicOrPartition

// OutOfRange reports that the requested offset is not in the log: the records
// were removed (Offset < LogStart) or the log was truncated or recreated
// (Offset > HighWatermark). The fetcher never moves the offset itself.
type OutOfRange struct {
	Topic                   string
	Partition               int
	Offset                  int64
	LogStart, HighWatermark int64
}

func (e *OutOfRange) Error() string {
	return fmt.Sprintf("%s[%d]: offset %d is out of range, the log holds [%d,%d)",
		e.Topic, e.Partition, e.Offset, e.LogStart, e.HighWatermark)
}

// Corrupt reports a record batch that fails its CRC or its structure. All
// offsets before Offset were delivered. Last is the last offset that the
// batch's own header claims, -1 when the header cannot be believed at all; it
// is not covered by a good checksum, so treat it as a hint.
type Corrupt struct {
	Topic        string
	Partition    int
	Offset, Last int64
	Reason       string
}

func (e *Corrupt) Error() string {
	return fmt.Sprintf("%s[%d]: corrupt record batch at offset %d: %s", e.Topic, e.Partition, e.Offset, e.Reason)
}

// TooLarge reports a record batch that exceeds Limit bytes, compressed or
// decompressed. It was refused before that much memory was allocated. Last is
// the batch's last offset by its header, -1 when unknown.
type TooLarge struct {
	Topic        string
	Partition    int
	Offset, Last int64
	Limit        int
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("%s[%d]: record batch at offset %d exceeds the limit of %d bytes",
		e.Topic, e.Partition, e.Offset, e.Limit)
}

// Unsupported reports data or a broker in a format that this package refuses
// by name, such as message formats older than v2.
type Unsupported struct {
	Topic     string
	Partition int
	Offset    int64
	What      string
}

func (e *Unsupported) Error() string {
	return fmt.Sprintf("%s[%d]: offset %d: unsupported: %s", e.Topic, e.Partition, e.Offset, e.What)
}

// locate fills in the topic and partition of an error made by the walker,
// which knows offsets only.
func locate(err error, topic string, partition int) error {
	switch e := err.(type) {
	case *Corrupt:
		e.Topic, e.Partition = topic, partition
	case *TooLarge:
		e.Topic, e.Partition = topic, partition
	case *Unsupported:
		e.Topic, e.Partition = topic, partition
	}
	return err
}

// fencing reports whether code says that the member was superseded.
func fencing(code kafkago.Error) bool {
	switch code {
	case kafkago.IllegalGeneration, kafkago.UnknownMemberId, kafkago.RebalanceInProgress, kafkago.FencedInstanceID:
		return true
	}
	return false
}

// permanent lists the broker answers that waiting does not cure.
func permanent(code kafkago.Error) bool {
	switch code {
	case kafkago.TopicAuthorizationFailed, kafkago.GroupAuthorizationFailed, kafkago.ClusterAuthorizationFailed,
		kafkago.SASLAuthenticationFailed, kafkago.UnsupportedSASLMechanism, kafkago.IllegalSASLState,
		kafkago.InvalidTopic, kafkago.InvalidGroupId, kafkago.InconsistentGroupProtocol,
		kafkago.InvalidSessionTimeout, kafkago.UnsupportedVersion, kafkago.MessageSizeTooLarge,
		kafkago.InvalidMessage, kafkago.InvalidRequiredAcks, kafkago.InvalidTimestamp, kafkago.PolicyViolation,
		kafkago.InvalidConfiguration, kafkago.InvalidPartitionNumber, kafkago.InvalidReplicationFactor,
		kafkago.UnsupportedForMessageFormat, kafkago.OffsetMetadataTooLarge, kafkago.InvalidCommitOffsetSize:
		return true
	}
	return false
}

// retriable reports whether trying again may help: network errors and the
// broker's passing states, but neither our own verdicts about data, nor
// refused credentials or certificates, nor the end of ctx.
func retriable(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if isVerdict(err) {
		return false
	}
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	if errors.As(err, &cert) || errors.As(err, &authority) {
		return false
	}
	var code kafkago.Error
	if errors.As(err, &code) {
		return !permanent(code) && !fencing(code)
	}
	return true
}

func isVerdict(err error) bool {
	var (
		outOfRange  *OutOfRange
		corrupt     *Corrupt
		tooLarge    *TooLarge
		unsupported *Unsupported
	)
	return errors.As(err, &outOfRange) || errors.As(err, &corrupt) ||
		errors.As(err, &tooLarge) || errors.As(err, &unsupported)
}
