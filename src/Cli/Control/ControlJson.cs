using System.Text.Json.Serialization;

namespace Xfrmd.Cli.Control;

/// <summary>The JSON of the control socket and of --json, without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ErrorReport))]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(CounterReport[]))]
[JsonSerializable(typeof(SaReport[]))]
[JsonSerializable(typeof(PolicyReport[]))]
[JsonSerializable(typeof(ExplainReport))]
[JsonSerializable(typeof(DropReport[]))]
[JsonSerializable(typeof(FlushReport))]
[JsonSerializable(typeof(FaultReport[]))]
[JsonSerializable(typeof(DoctorCheck[]))]
internal sealed partial class ControlJson : JsonSerializerContext;
