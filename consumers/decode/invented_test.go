package decode_test

// Invented records of every foreign shape. Accounts are the documentation's, addresses those of RFC 5737.
const (
	plainTrail = `{"eventVersion":"1.10","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:ada","arn":"arn:aws:sts::111122223333:assumed-role/analyst/ada",
"accountId":"111122223333","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::111122223333:role/team/analyst","userName":"analyst"},
"attributes":{"creationDate":"2026-03-01T09:00:00Z","mfaAuthenticated":"true"},"sourceIdentity":"ada@example.com"}},
"eventTime":"2026-03-01T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.7",
"userAgent":"[aws-cli]","requestParameters":{"bucketName":"example-profiles","key":"a/b.csv"},"responseElements":null,
"additionalEventData":{"bytesTransferredOut":1234.0},"requestID":"R1","eventID":"11111111-2222-3333-4444-555555555555","readOnly":true,
"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::example-profiles/a/b.csv"},{"type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::example-profiles","accountId":"111122223333"}],
"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data"}`

	serviceTrail = `{"eventVersion":"1.10","userIdentity":{"type":"AWSService","invokedBy":"cloudtrail.amazonaws.com"},"eventTime":"2026-03-01T10:00:00Z",
"eventSource":"kms.amazonaws.com","eventName":"GenerateDataKey","awsRegion":"eu-west-1","sourceIPAddress":"cloudtrail.amazonaws.com","eventID":"s-1"}`

	bridgedTrail = `{"version":"0","id":"b-1","detail-type":"AWS API Call via CloudTrail","source":"aws.iam","account":"111122223333","time":"2026-03-01T10:00:01Z",
"region":"us-east-1","resources":[],"detail":{"userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333"},
"eventTime":"2026-03-01T10:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-1","sourceIPAddress":"AWS Internal",
"errorCode":"AccessDenied","eventID":"b-2"}}`

	deniedTrail = `{"userIdentity":{"type":"AWSAccount","principalId":"","accountId":"anonymous"},"eventTime":"2026-03-01T10:00:00Z","eventSource":"s3.amazonaws.com",
"eventName":"ListObjects","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.9","errorCode":"AccessDenied","requestParameters":{"bucketName":"example-honey"},"eventID":"d-1"}`

	sharedTrail = `{"userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/bob","userName":"bob"},"eventTime":"2026-03-01T10:00:00Z",
"eventSource":"rds.amazonaws.com","eventName":"ModifyDBSnapshotAttribute","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.9",
"requestParameters":{"dBSnapshotIdentifier":"orders-1","attributeName":"restore","valuesToAdd":["444455556666"]},"eventID":"g-1"}`

	batchTrail = `{"userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/bob"},"eventTime":"2026-03-01T10:00:00Z","eventSource":"ssm.amazonaws.com",
"eventName":"GetParameters","awsRegion":"eu-west-1","sourceIPAddress":"::ffff:203.0.113.9","requestParameters":{"names":["/a","/b"],"withDecryption":true},
"errorCode":"ParameterNotFound","eventID":"p-1"}`

	plainAudit = `{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","status":{},"authenticationInfo":{"principalEmail":"etl@example.iam.gserviceaccount.com",
"serviceAccountDelegationInfo":[{"firstPartyPrincipal":{"principalEmail":"ada@example.com"}}]},"requestMetadata":{"callerIp":"203.0.113.7"},
"serviceName":"storage.googleapis.com","methodName":"storage.objects.get","resourceName":"projects/_/buckets/example-profiles/objects/a/b.csv",
"resourceLocation":{"currentLocations":["europe-west3"]}},"insertId":"i-1","resource":{"type":"gcs_bucket","labels":{"location":"europe-west3","bucket_name":"example-profiles"}},
"timestamp":"2026-03-01T10:00:00.5Z","severity":"INFO","logName":"projects/example/logs/cloudaudit.googleapis.com%2Fdata_access"}`

	queryAudit = `{"protoPayload":{"authenticationInfo":{"principalEmail":"ada@example.com"},"requestMetadata":{"callerIp":"private"},"status":{"code":7,"message":"no"},
"serviceName":"bigquery.googleapis.com","methodName":"google.cloud.bigquery.v2.JobService.InsertJob","resourceName":"projects/example/jobs/j",
"metadata":{"jobChange":{"job":{"jobStats":{"queryStats":{"referencedTables":["projects/example/datasets/crm/tables/users","projects/example/datasets/crm/tables/orders"]}}}}}},
"insertId":"i-2","resource":{"labels":{"location":"EU"}},"timestamp":"2026-03-01 10:00:00.5"}`

	plainTransparency = `{"insertId":"t-1","jsonPayload":{"@type":"type.googleapis.com/google.cloud.audit.TransparencyLog","location":{"principalOfficeCountry":"US",
"principalEmployingEntity":"Example Cloud LLC","principalPhysicalLocationCountry":"EUR"},"principalJobTitle":"Support","product":["Cloud Storage"],
"reason":[{"detail":"Case 1","type":"CUSTOMER_INITIATED_SUPPORT"},{"type":"GOOGLE_INITIATED_REVIEW"}],"permissionDetails":[{"permissionType":"DATA_READ"}],"eventId":"ev-1",
"accesses":[{"methodName":"GoogleInternal.Read","resourceName":"//googleapis.com/storage/buckets/example-profiles/objects/a"},
{"methodName":"GoogleInternal.Read","resourceName":"//googleapis.com/storage/buckets/example-orders/objects/b"}],"accessApprovals":["projects/1/approvalRequests/a"]},
"logName":"projects/example/logs/cloudaudit.googleapis.com%2Faccess_transparency","timestamp":"2026-03-01T10:00:00.123456789Z"}`

	plainDatastore = `{"class_uid":6005,"activity_id":4,"time":1772359200123,"metadata":{"uid":"o-1","version":"1.8.0","product":{"name":"gateway"},"sequence":7},
"actor":{"user":{"uid":"u-1042","type_id":1,"groups":[{"name":"analysts"}],"org":{"uid":"example-de"}},"session":{"uid":"s-1","is_mfa":true}},
"src_endpoint":{"ip":"203.0.113.7"},"dst_endpoint":{"svc_name":"warehouse","location":{"country":"DE"}},"database":{"name":"crm"},
"table":{"name":"users","data_classifications":[{"category_id":1,"confidentiality_id":6}]},"status_id":1,"disposition_id":1}`

	plainAPI = `{"class_uid":6003,"activity_id":2,"time":1772359200123,"metadata":{"uid":"o-2"},"actor":{"user":{"name":"ada"},"invoked_by":"lambda.amazonaws.com"},
"api":{"operation":"GetSecretValue","service":{"name":"secretsmanager.amazonaws.com"},"response":{"error":"AccessDeniedException"}},"cloud":{"provider":"AWS","region":"eu-west-1"},
"src_endpoint":{"svc_name":"AWS Internal"},"resources":[{"uid":"arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf"}],"status_id":2}`
)
