package main

import (
	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/kafka"
)

// kafkaConfig turns the configuration into the client's. Its secrets were read.
func kafkaConfig(c config.Kafka) kafka.Config {
	return kafka.Config{
		Brokers:  c.Brokers,
		ClientID: c.ClientID,
		TLS: kafka.TLS{
			Enabled: c.TLS.Enabled, CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile,
			ServerName: c.TLS.ServerName,
		},
		SASL: kafka.SASL{Mechanism: c.SASL.Mechanism, Username: c.SASL.Username, Password: c.SASL.Password.Reveal()},
	}
}
