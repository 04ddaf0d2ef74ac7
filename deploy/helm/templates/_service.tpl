{{/*
One service: Deployment, Service, PodDisruptionBudget and NetworkPolicy.
  root       the chart's root
  name       ingest, preprocess, trainer, inference or ui: its key in the values and its image
  backends   true: it uses NATS and S3
  site       true: it holds the site key
  work       true: it keeps a working folder
  index      true: it keeps a local index, which survives a restart of its container
  cores      the variable that tells it how many cores it may use
  http       true: it answers HTTP on 8080 instead of gRPC on 8081
  rest       true: it answers HTTP as well, on 8082
  open       true: anyone who reaches the cluster network may call it
  trusts     true: it judges signatures of models
  launches   true: it starts training runs (see _launcher.tpl)
  callers    components of this release that may call it
  calls      components of this release that it calls
*/}}
{{- define "exchangeai.service" -}}
{{- $root := .root -}}
{{- $name := .name -}}
{{- $full := printf "%s-%s" $root.Release.Name $name -}}
{{- $values := index $root.Values $name -}}
{{- $port := ternary 8080 8081 (default false .http) -}}
{{- $context := dict "root" $root "name" $name -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $full }}
  labels: {{- include "exchangeai.labels" $context | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  strategy:
    {{- if eq $name "trainer" }}
    # A new trainer starts when the old one has put its checkpoint away: they share the accelerator.
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- end }}
  selector:
    matchLabels: {{- include "exchangeai.selector" $context | nindent 6 }}
  template:
    metadata:
      labels: {{- include "exchangeai.labels" $context | nindent 8 }}
    spec:
      {{- include "exchangeai.pod" $root | nindent 6 }}
      {{- if and .launches (eq $values.launcher "kubernetes") }}
      serviceAccountName: {{ $full }}
      {{- end }}
      # Longer than the pause before SIGTERM, the saving of a checkpoint and the drain together.
      terminationGracePeriodSeconds: {{ add $root.Values.drainSeconds 40 }}
      {{- with $values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ $name }}
          image: {{ include "exchangeai.image" $context }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ $name }}]
          securityContext: {{- include "exchangeai.container" . | nindent 12 }}
          ports:
            - {name: {{ ternary "http" "grpc" (default false .http) }}, containerPort: {{ $port }}}
            {{- if .rest }}
            - {name: http-rest, containerPort: 8082}
            {{- end }}
            {{- if and $root.Values.metrics.enabled .backends }}
            - {name: metrics, containerPort: 9090}
            {{- end }}
          env: {{- include "exchangeai.env" . | nindent 12 }}
          {{- if .http }}
          startupProbe:
            httpGet: {path: /healthz, port: {{ $port }}}
            periodSeconds: 2
            failureThreshold: 60
          readinessProbe:
            httpGet: {path: /healthz, port: {{ $port }}}
            periodSeconds: 5
          livenessProbe:
            httpGet: {path: /healthz, port: {{ $port }}}
            periodSeconds: 20
            timeoutSeconds: 5
          {{- else }}
          startupProbe:
            grpc: {port: {{ $port }}}
            periodSeconds: 2
            failureThreshold: 60
          readinessProbe:
            grpc: {port: {{ $port }}, service: ready}
            periodSeconds: 5
          livenessProbe:
            grpc: {port: {{ $port }}}
            periodSeconds: 20
            timeoutSeconds: 5
          {{- end }}
          lifecycle:
            # Until every client has heard that this pod leaves.
            preStop: {sleep: {seconds: 5}}
          resources:
            requests: {{- toYaml $values.resources.requests | nindent 14 }}
            limits:
              {{- toYaml $values.resources.limits | nindent 14 }}
              {{- if $values.gpus }}
              {{ $values.gpuResource }}: {{ $values.gpus }}
              {{- end }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if $values.shmSize }}
            - {name: shm, mountPath: /dev/shm}
            {{- end }}
            {{- if .launches }}
            {{- include "exchangeai.launcherMounts" $root | nindent 12 }}
            {{- end }}
            {{- if and .backends $root.Values.nats.caSecret }}
            - {name: nats-ca, mountPath: /etc/exchangeai/nats, readOnly: true}
            {{- end }}
            {{- if and .backends $root.Values.s3.caSecret }}
            - {name: s3-ca, mountPath: /etc/exchangeai/s3, readOnly: true}
            {{- end }}
            {{- if and .trusts $values.trust.keysConfigMap }}
            - {name: keys, mountPath: /etc/exchangeai/keys, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: {{ $values.tmpSize }}}
        {{- if $values.shmSize }}
        - name: shm
          emptyDir: {medium: Memory, sizeLimit: {{ $values.shmSize }}}
        {{- end }}
        {{- if .launches }}
        {{- include "exchangeai.launcherVolumes" $root | nindent 8 }}
        {{- end }}
        {{- if and .backends $root.Values.nats.caSecret }}
        - name: nats-ca
          secret: {secretName: {{ $root.Values.nats.caSecret }}}
        {{- end }}
        {{- if and .backends $root.Values.s3.caSecret }}
        - name: s3-ca
          secret: {secretName: {{ $root.Values.s3.caSecret }}}
        {{- end }}
        {{- if and .trusts $values.trust.keysConfigMap }}
        - name: keys
          configMap: {name: {{ $values.trust.keysConfigMap }}}
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $full }}
  labels: {{- include "exchangeai.labels" $context | nindent 4 }}
spec:
  {{- if not .http }}
  # The name resolves to every pod, so that gRPC clients spread their calls.
  clusterIP: None
  {{- end }}
  selector: {{- include "exchangeai.selector" $context | nindent 4 }}
  ports:
    - name: {{ ternary "http" "grpc" (default false .http) }}
      port: {{ $port }}
      targetPort: {{ $port }}
      appProtocol: {{ ternary "http" "kubernetes.io/h2c" (default false .http) }}
    {{- if .rest }}
    # Meshes read the protocol from the name's beginning, or from appProtocol.
    - name: http-rest
      port: 8082
      targetPort: 8082
      appProtocol: http
    {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $full }}
  labels: {{- include "exchangeai.labels" $context | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "exchangeai.selector" $context | nindent 6 }}
{{- if $root.Values.networkPolicy.enabled }}
---
{{ include "exchangeai.networkPolicy" (merge (dict "full" $full "port" $port) .) }}
{{- end }}
{{- end }}
