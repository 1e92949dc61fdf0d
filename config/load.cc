// SPDX-License-Identifier: Apache-2.0
// The file as a whole: YAML into sections, everything but migrations and limits, and the password file.
// yaml-cpp throws; what it throws ends here.
#include "config/load.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <fstream>
#include <iterator>
#include <set>

#include "config/limits.h"
#include "config/migrations.h"
#include "config/names.h"
#include "config/section.h"
#include "config/throttle.h"

namespace crossfade::config {
namespace {

constexpr size_t kMaxFile = 4u << 20;  // bytes; a real one has a few KB
constexpr std::array<std::string_view, 7> kLogLevels = {"trace", "debug", "info", "warn", "error", "critical", "off"};

std::string Beside(const std::string& config_path, const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  const size_t slash = config_path.rfind('/');
  return slash == std::string::npos ? path : config_path.substr(0, slash + 1) + path;
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(fmt::format("{}: cannot be read", path));
  std::string text;
  text.resize(limit + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof())) return absl::NotFoundError(fmt::format("{}: cannot be read", path));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > limit) return absl::InvalidArgumentError(fmt::format("{}: is larger than {} bytes", path, limit));
  return text;
}

std::string Address(Section& section, std::string_view key) {
  const std::string address = section.Required(key);
  if (const std::string reason = address.empty() ? "" : CheckAddress(address); !reason.empty()) section.Fail(key, reason);
  return address;
}

Backend ReadBackend(const std::string& name, const YAML::Node& node, const std::string& path, Diagnostics* diagnostics) {
  Section section(node, "backends." + name, diagnostics);
  Backend backend;
  backend.name = name;
  backend.address = Address(section, "address");
  const std::string tls = section.String("tls");
  if (tls == "disabled") {
    backend.tls = TlsMode::kDisabled;
  } else if (tls == "required") {
    backend.tls = TlsMode::kRequired;
  } else if (tls == "verify") {
    backend.tls = TlsMode::kVerify;
  } else if (!tls.empty() && tls != "preferred") {
    section.Fail("tls", fmt::format("'{}' is none of disabled, preferred, required, verify", tls));
  }
  backend.ca = Beside(path, section.String("ca"));
  if (backend.tls == TlsMode::kVerify && backend.ca.empty()) section.Fail("tls", "verify needs 'ca:', a PEM file");
  if (backend.tls != TlsMode::kVerify && !backend.ca.empty()) section.Fail("ca", "is used with 'tls: verify' only");
  backend.certificate = Beside(path, section.String("certificate"));
  backend.key = Beside(path, section.String("key"));
  if (backend.certificate.empty() != backend.key.empty()) {
    section.Fail(backend.key.empty() ? "certificate" : "key", "'certificate' and 'key' stand together");
  }
  if (backend.tls == TlsMode::kDisabled && !backend.certificate.empty()) section.Fail("certificate", "is of no use with 'tls: disabled'");
  const std::string header = section.String("proxy_protocol");
  if (header == "v1") {
    backend.proxy_protocol = ProxyProtocol::kV1;
  } else if (header == "v2") {
    backend.proxy_protocol = ProxyProtocol::kV2;
  } else if (!header.empty()) {
    section.Fail("proxy_protocol", fmt::format("'{}' is neither v1 nor v2", header));
  }
  const std::string compression = section.String("compression");
  if (compression == "zlib") {
    backend.compression = Compression::kZlib;
  } else if (compression == "zstd") {
    backend.compression = Compression::kZstd;
  } else if (!compression.empty() && compression != "off") {
    section.Fail("compression", fmt::format("'{}' is none of off, zlib, zstd", compression));
  }
  section.Done();
  return backend;
}

void ReadBackends(Section& root, Config* config, Diagnostics* diagnostics) {
  Section section(root.Mapping("backends"), "backends", diagnostics);
  for (const std::string& name : section.Keys()) {
    if (const std::string reason = CheckMigrationName(name); !reason.empty()) section.Fail(name, reason);
    config->backends.push_back(ReadBackend(name, section.Value(name), config->path, diagnostics));
  }
  if (config->backends.empty()) root.Fail("backends", "at least one is needed");
}

std::string BackendName(Section& section, const Config& config) {
  const std::string name = section.Required("backend");
  if (!name.empty() && config.FindBackend(name) == nullptr) {
    section.Fail("backend", fmt::format("there is no backend '{}'", name));
  }
  return name;
}

void ReadListenerTls(Section& section, const std::string& path, Listener* listener) {
  Section tls(section.Mapping("tls"), section.what() + ".tls", section.diagnostics());
  listener->tls_generate = tls.Bool("generate");
  if (listener->tls_generate) {
    listener->tls_folder = Beside(path, tls.String("folder"));
    for (const char* key : {"certificate", "key"}) {
      if (tls.Has(key)) tls.Fail(key, "is of no use with 'generate: true'");
    }
  } else {
    listener->tls_certificate = Beside(path, tls.Required("certificate"));
    listener->tls_key = Beside(path, tls.Required("key"));
    if (tls.Has("folder")) tls.Fail("folder", "is used with 'generate: true' only");
  }
  listener->tls_required = tls.Bool("required");
  listener->tls_client_ca = Beside(path, tls.String("client_ca"));
  const std::string certificate = tls.String("client_certificate");
  if (certificate == "optional") {
    listener->client_certificate = ClientCertificate::kOptional;
  } else if (certificate == "required") {
    listener->client_certificate = ClientCertificate::kRequired;
    listener->tls_required = true;
  } else if (!certificate.empty()) {
    tls.Fail("client_certificate", fmt::format("'{}' is neither optional nor required", certificate));
  }
  if (listener->client_certificate != ClientCertificate::kIgnored && listener->tls_client_ca.empty()) {
    tls.Fail("client_certificate", "needs 'client_ca:', a PEM file");
  }
  if (listener->client_certificate == ClientCertificate::kIgnored && !listener->tls_client_ca.empty()) {
    tls.Fail("client_ca", "is used with 'client_certificate: optional' or 'required'");
  }
  tls.Done();
}

// Which peers are load balancers that say who the client is.
void ReadNetworks(Section& section, Listener* listener) {
  const bool is_unix = listener->address.substr(0, 5) == "unix:";
  for (const std::string& text : section.Strings("proxy_protocol")) {
    const std::optional<Network> network = ParseNetwork(text);
    if (!network) {
      section.Fail("proxy_protocol", fmt::format("'{}' is no network; write 10.0.0.0/8, 2001:db8::/32, or unix", text));
    } else if (network->is_unix != is_unix) {
      section.Fail("proxy_protocol", is_unix ? "the peers of a unix socket are listed as 'unix'" : "'unix' is for listeners on a unix socket");
    } else {
      listener->proxy_protocol.push_back(*network);
    }
  }
}

void ReadListeners(Section& root, Config* config, Diagnostics* diagnostics) {
  std::set<std::string> addresses;
  const std::vector<YAML::Node> nodes = root.List("listen");
  if (nodes.empty()) root.Fail("listen", "at least one address is needed");
  for (size_t i = 0; i < nodes.size() && diagnostics->ok(); ++i) {
    Section section(nodes[i], fmt::format("listen[{}]", i), diagnostics);
    Listener listener;
    listener.address = Address(section, "address");
    listener.backend = BackendName(section, *config);
    if (section.Has("tls")) ReadListenerTls(section, config->path, &listener);
    ReadNetworks(section, &listener);
    section.Done();
    if (!addresses.insert(listener.address).second) section.Fail("address", fmt::format("{} stands here twice", listener.address));
    config->listeners.push_back(std::move(listener));
  }
}

void ReadControl(Section& root, Config* config, Diagnostics* diagnostics) {
  Section section(root.Mapping("control"), "control", diagnostics);
  config->control.backend = BackendName(section, *config);
  config->control.user = section.Required("user");
  config->control.password_file = section.String("password_file");
  if (section.Has("schema")) config->control.schema = section.String("schema");
  section.Done();
  if (!diagnostics->ok()) return;
  if (const std::string reason = CheckIdentifier(config->control.schema); !reason.empty()) section.Fail("schema", reason);
}

void ReadRoot(const YAML::Node& node, Config* config, Diagnostics* diagnostics) {
  Section root(node, "the file", diagnostics);
  // A misspelt key first: what it leaves missing is the smaller news.
  for (const char* key : {"backends", "listen", "control", "admin", "log_level", "limits", "throttle", "migrations"}) root.Has(key);
  root.Done();
  if (!diagnostics->ok()) return;
  ReadBackends(root, config, diagnostics);
  ReadListeners(root, config, diagnostics);
  ReadControl(root, config, diagnostics);
  config->admin = root.String("admin");
  if (!config->admin.empty()) {
    std::string reason = CheckAddress(config->admin);
    if (config->admin.substr(0, 5) == "unix:") reason = "write HOST:PORT";
    if (!reason.empty()) root.Fail("admin", reason);
  }
  if (root.Has("log_level")) {
    config->log_level = root.String("log_level");
    bool known = false;
    for (const std::string_view level : kLogLevels) known = known || level == config->log_level;
    if (!known) {
      root.Fail("log_level", fmt::format("'{}' is none of trace, debug, info, warn, error, critical, off", config->log_level));
    }
  }
  if (root.Has("limits")) ReadLimits(root.Mapping("limits"), &config->limits, diagnostics);
  if (root.Has("throttle")) ReadThrottle(root.Mapping("throttle"), &config->throttle, diagnostics);
  const std::vector<YAML::Node> migrations = root.List("migrations");
  root.Done();
  if (diagnostics->ok()) config->migrations = ReadMigrations(migrations, config->control, diagnostics);
  for (const Migration& migration : config->migrations) {
    if (migration.verify_on.empty()) continue;
    if (config->FindBackend(migration.verify_on) == nullptr) root.Fail("migrations", fmt::format("{}: verify_on: there is no backend '{}'", migration.name, migration.verify_on));
    if (migration.verify_on == config->control.backend) root.Fail("migrations", fmt::format("{}: verify_on names the control backend, which is the primary", migration.name));
  }
  for (size_t i = 0; i < config->migrations.size() && diagnostics->ok(); ++i) {
    for (const std::string& named : config->migrations[i].cutover.listeners) {
      bool found = false;
      for (const Listener& listener : config->listeners) found = found || listener.address == named;
      if (!found) diagnostics->Fail(LineOf(migrations[i]), fmt::format("migrations[{}].cutover.listeners: nobody listens on {}", i, named));
    }
  }
}

}  // namespace

absl::StatusOr<Config> Parse(const std::string& text, const std::string& name) {
  Config config;
  config.path = name;
  Diagnostics diagnostics(name);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.empty() || documents[0].IsNull()) {
      diagnostics.Fail(1, "the file is empty");
    } else if (documents.size() > 1) {
      diagnostics.Fail(LineOf(documents[1]), "a second YAML document begins here; one is enough");
    } else {
      ReadRoot(documents[0], &config, &diagnostics);
    }
  } catch (const YAML::Exception& error) {
    diagnostics.Fail(error.mark.line + 1, fmt::format("no YAML: {}", error.msg));
  }
  if (!diagnostics.ok()) return diagnostics.status();
  return config;
}

absl::StatusOr<Config> Load(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxFile);
  if (!text.ok()) return text.status();
  return Parse(*text, path);
}

absl::StatusOr<std::string> ReadControlPassword(const Config& config) {
  if (config.control.password_file.empty()) return std::string();
  absl::StatusOr<std::string> text = ReadFile(Beside(config.path, config.control.password_file), 4096);
  if (!text.ok()) return text.status();
  return text->substr(0, text->find_first_of("\r\n"));
}

}  // namespace crossfade::config
