package embedded_test

import (
	"testing"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
)

func TestKafkaRestartAndKill(t *testing.T) {
	k := embeddedtest.Kafka(t, embedded.KafkaConfig{Topics: topics})
	a := access{addrs: k.Addrs()}
	if got := a.clusterID(t); got != k.ClusterID() {
		t.Errorf("clients see cluster id %s, want %s", got, k.ClusterID())
	}
	a.produce(t, 0, 20)
	a.consume(t, "g", 0, 20)
	if err := k.StopBroker(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := k.StartBroker(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	a.produce(t, 20, 20)
	a.consume(t, "g", 20, 20)
	k.KillBroker(0)
	if err := k.StartBroker(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	a.produce(t, 40, 10)
	a.consume(t, "g", 40, 10)
}

func TestKafkaLogin(t *testing.T) {
	pair, err := embedded.GenerateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	conf, err := pair.ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	k := embeddedtest.Kafka(t, embedded.KafkaConfig{Topics: topics, TLS: &pair, Credentials: []embedded.Credential{
		{Mechanism: embedded.Plain, User: "p", Password: "plain1"},
		{Mechanism: embedded.ScramSHA512, User: "s", Password: "scram1"},
	}})
	checkLogins(t, k.Addrs(), conf, "plain1", "scram1")
}

func TestKafkaLosesOneOfThree(t *testing.T) {
	if testing.Short() {
		t.Skip("three brokers take a gigabyte")
	}
	k := embeddedtest.Kafka(t, embedded.KafkaConfig{Topics: topics, Brokers: 3})
	a := access{addrs: k.Addrs()}
	a.produce(t, 0, 30)
	k.KillBroker(1)
	a.produce(t, 30, 30)
	// kafka-go's writer has no producer id: what it repeats at the loss is there twice.
	if doubled := a.consumeDistinct(t, "g", 0, 60); doubled > 30 {
		t.Errorf("%d messages came twice, more than were written after the loss", doubled)
	}
}
