package traffic

import (
	"strconv"
	"time"
)

// The calls of the CloudTrail feed. Half of real trails are the platform's own.
var cloudCalls = []struct{ source, name, caller string }{
	{"s3.amazonaws.com", "GetObject", "role"},
	{"s3.amazonaws.com", "GetObject", "role"},
	{"s3.amazonaws.com", "PutObject", "role"},
	{"s3.amazonaws.com", "GetBucketAcl", "cloudtrail.amazonaws.com"},
	{"kms.amazonaws.com", "GenerateDataKey", "s3.amazonaws.com"},
	{"kms.amazonaws.com", "GenerateDataKey", "cloudtrail.amazonaws.com"},
	{"sts.amazonaws.com", "AssumeRole", "ec2.amazonaws.com"},
	{"s3.amazonaws.com", "ListBucket", "role"},
}

const (
	cloudAccount = "111122223333" // one of the accounts that documentation uses
	cloudRegion  = "eu-central-1"
	cloudCountry = "DE"
)

// cloudTrail writes one CloudTrail record: a service's data access, or the platform's own housekeeping.
func (g *Generator) cloudTrail(r *Record, id uint64) {
	call := cloudCalls[g.rng.IntN(len(cloudCalls))]
	s := &g.world.Services[g.rng.IntN(len(g.world.Services))]
	address := call.caller
	if call.caller == "role" {
		if address = g.addressOf(s.ID, g.ways[s.Country].workload); address == "" {
			address = "AWS Internal"
		}
	}
	r.Feed, r.EventID = FeedCloudTrail, uuid(id)
	r.Key = append(r.Key[:0], cloudAccount...)
	b := append(r.Value[:0], `{"eventVersion":"1.09","userIdentity":`...)
	b = g.appendIdentity(b, call.caller, s)
	b = append(b, `,"eventTime":"`...)
	b = r.Time.AppendFormat(b, time.RFC3339)
	b = append(b, '"')
	b = text(b, "eventSource", call.source)
	b = text(b, "eventName", call.name)
	b = text(b, "awsRegion", cloudRegion)
	b = text(b, "sourceIPAddress", address)
	b = text(b, "userAgent", address)
	b = append(b, `,"requestParameters":`...)
	b = g.appendParameters(b, call.source)
	b = append(b, `,"responseElements":null`...)
	b = text(b, "requestID", uuid(mix(id)))
	b = text(b, "eventID", r.EventID)
	b = append(b, `,"readOnly":`...)
	b = strconv.AppendBool(b, call.name != "PutObject")
	b = text(b, "eventType", "AwsApiCall")
	b = append(b, `,"managementEvent":`...)
	b = strconv.AppendBool(b, call.source != "s3.amazonaws.com" || call.name == "GetBucketAcl")
	b = text(b, "recipientAccountId", cloudAccount)
	r.Value = append(b, '}')
}

func (g *Generator) appendIdentity(b []byte, caller string, s *Service) []byte {
	if caller != "role" {
		return append(quote(append(b, `{"type":"AWSService","invokedBy":`...), caller), '}')
	}
	role := "arn:aws:iam::" + cloudAccount + ":role/" + s.ID
	b = append(b, `{"type":"AssumedRole","principalId":"AROAEXAMPLEEXAMPLE:worker"`...)
	b = text(b, "arn", "arn:aws:sts::"+cloudAccount+":assumed-role/"+s.ID+"/worker")
	b = text(b, "accountId", cloudAccount)
	b = append(b, `,"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLEEXAMPLE"`...)
	b = text(b, "arn", role)
	b = text(b, "accountId", cloudAccount)
	b = text(b, "userName", s.ID)
	return append(b, "}}}"...)
}

func (g *Generator) appendParameters(b []byte, source string) []byte {
	if source != "s3.amazonaws.com" {
		return append(b, "null"...)
	}
	bucket := "assets"
	if len(g.buckets) > 0 {
		bucket = g.dataset(g.buckets).Name
	}
	b = quote(append(b, `{"bucketName":`...), bucket)
	b = text(b, "key", "public/"+strconv.Itoa(g.rng.IntN(10_000))+".webp")
	return append(b, '}')
}

// uuid writes an id in the form of a version 4 UUID.
func uuid(id uint64) string {
	h := appendID(appendID(nil, id), mix(id+1))
	h[12], h[16] = '4', '8'
	return string(h[:8]) + "-" + string(h[8:12]) + "-" + string(h[12:16]) + "-" + string(h[16:20]) + "-" + string(h[20:])
}
