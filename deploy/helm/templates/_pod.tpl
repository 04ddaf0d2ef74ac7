{{/* What every pod shares: labels, image, restrictions, environment. */}}

{{- define "exchangeai.selector" -}}
app.kubernetes.io/name: exchangeai
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "exchangeai.labels" -}}
{{ include "exchangeai.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "exchangeai.image" -}}
{{- $image := .root.Values.image -}}
{{ printf "%s/%s:%s" $image.repository .name (default .root.Chart.AppVersion $image.tag) | quote }}
{{- end }}

{{- define "exchangeai.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "exchangeai.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "exchangeai.secretEnv" -}}
- name: {{ .env }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}

{{- define "exchangeai.workDir" -}}
{{- $trainer := .root.Values.trainer -}}
{{- /* The nodes of a Slurm cluster find the folder of a run under the same path. */ -}}
{{- if and .launches (eq $trainer.launcher "slurm") }}{{ $trainer.slurm.workPath | quote }}{{ else }}/tmp/work{{ end }}
{{- end }}

{{- define "exchangeai.env" -}}
{{- $values := .root.Values -}}
{{- $release := .root.Release.Name -}}
- {name: EXCHANGEAI_TELEMETRY_LOG_LEVEL, value: {{ $values.logLevel }}}
{{- if .backends }}
- {name: EXCHANGEAI_RPC_HOST, value: "0.0.0.0"}
- {name: EXCHANGEAI_RPC_PORT, value: "8081"}
- {name: EXCHANGEAI_RPC_DRAIN_S, value: {{ $values.drainSeconds | quote }}}
{{- if $values.metrics.enabled }}
- {name: EXCHANGEAI_TELEMETRY_METRICS_HOST, value: "0.0.0.0"}
- {name: EXCHANGEAI_TELEMETRY_METRICS_PORT, value: "9090"}
{{- end }}
{{ include "exchangeai.secretEnv" (dict "env" "EXCHANGEAI_BUS_URL" "secret" $values.nats.secret "key" "url") }}
{{ include "exchangeai.secretEnv" (dict "env" "EXCHANGEAI_BUS_USER" "secret" $values.nats.secret "key" "user") }}
{{ include "exchangeai.secretEnv" (dict "env" "EXCHANGEAI_BUS_PASSWORD" "secret" $values.nats.secret "key" "password") }}
{{- if $values.nats.caSecret }}
- {name: EXCHANGEAI_BUS_CA_FILE, value: /etc/exchangeai/nats/ca.crt}
{{- end }}
{{ include "exchangeai.secretEnv" (dict "env" "EXCHANGEAI_STORE_URL" "secret" $values.s3.secret "key" "url") }}
{{ include "exchangeai.secretEnv" (dict "env" "EXCHANGEAI_STORE_ACCESS_KEY" "secret" $values.s3.secret "key" "access-key") }}
{{ include "exchangeai.secretEnv" (dict "env" "EXCHANGEAI_STORE_SECRET_KEY" "secret" $values.s3.secret "key" "secret-key") }}
- {name: EXCHANGEAI_STORE_REGION, value: {{ $values.s3.region }}}
- {name: EXCHANGEAI_STORE_BUCKET_PREFIX, value: {{ $values.s3.bucketPrefix }}}
{{- if $values.s3.caSecret }}
- {name: EXCHANGEAI_STORE_CA_FILE, value: /etc/exchangeai/s3/ca.crt}
{{- end }}
{{- end }}
{{- if .site }}
{{ include "exchangeai.secretEnv" (dict "env" "EXCHANGEAI_SITE_KEY" "secret" $values.site.secret "key" "site-key") }}
{{- end }}
{{- if .http }}
- {name: EXCHANGEAI_HOST, value: "0.0.0.0"}
- {name: EXCHANGEAI_PORT, value: "8080"}
{{- end }}
{{- if .cores }}
- name: {{ .cores }}
  # A process sees every core of its node; this tells it how many it may use.
  valueFrom: {resourceFieldRef: {resource: limits.cpu}}
{{- end }}
{{- if .work }}
- {name: EXCHANGEAI_WORK_DIR, value: {{ include "exchangeai.workDir" . }}}
{{- end }}
{{- if .launches }}
{{ include "exchangeai.launcherEnv" . }}
{{- end }}
{{- if .index }}
- {name: EXCHANGEAI_INDEX_FOLDER, value: /tmp/index}
{{- end }}
{{- if .rest }}
- {name: EXCHANGEAI_REST_PORT, value: "8082"}
{{- end }}
{{- if .trusts }}
{{- if $values.inference.trust.keysConfigMap }}
- {name: EXCHANGEAI_TRUSTED_KEYS, value: /etc/exchangeai/keys}
{{- end }}
- {name: EXCHANGEAI_REQUIRE_SIGNATURE, value: {{ $values.inference.trust.requireSignature | quote }}}
- {name: EXCHANGEAI_DEVICE, value: {{ $values.inference.device }}}
- {name: EXCHANGEAI_RESULTS_LOG, value: {{ $values.inference.recordResults | quote }}}
- {name: EXCHANGEAI_MODEL_MEMORY_BYTES, value: {{ $values.inference.modelMemoryBytes | int64 | quote }}}
{{- end }}
{{- range .calls }}
- {name: EXCHANGEAI_{{ upper . }}_ADDRESS, value: "{{ $release }}-{{ . }}:8081"}
{{- end }}
{{- end }}
