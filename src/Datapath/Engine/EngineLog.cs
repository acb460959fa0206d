using Microsoft.Extensions.Logging;

namespace Xfrmd.Datapath.Engine;

internal static partial class EngineLog
{
    [LoggerMessage(EventId = 3001, Level = LogLevel.Error, Message = "{Worker}: a batch of packets failed ({Failures} in a row)")]
    public static partial void WorkerFailed(this ILogger logger, Exception exception, string worker, int failures);

    [LoggerMessage(EventId = 3002, Level = LogLevel.Critical, Message = "{Worker}: stopped; its packets are dropped until xfrmd is restarted")]
    public static partial void WorkerStopped(this ILogger logger, string worker);

    [LoggerMessage(EventId = 3003, Level = LogLevel.Information, Message = "Network namespace {Namespace}: packets flow ({Device}, {Sockets} sockets)")]
    public static partial void Started(this ILogger logger, ulong @namespace, string device, int sockets);

    [LoggerMessage(EventId = 3004, Level = LogLevel.Error, Message = "Network namespace {Namespace}: packets cannot be carried: {Reason}")]
    public static partial void CannotStart(this ILogger logger, ulong @namespace, string reason);

    [LoggerMessage(EventId = 3005, Level = LogLevel.Information, Message = "ESP in UDP: sharing {Address} port {Port} with the program that owns it")]
    public static partial void PortShared(this ILogger logger, System.Net.IPAddress address, int port);

    [LoggerMessage(EventId = 3006, Level = LogLevel.Warning, Message = "ESP in UDP: port {Port} cannot be shared; its packets are seen beside their owner")]
    public static partial void PortWatched(this ILogger logger, int port);

    [LoggerMessage(EventId = 3007, Level = LogLevel.Information, Message = "ESP in UDP: port {Port} is let go")]
    public static partial void PortReleased(this ILogger logger, int port);

    [LoggerMessage(EventId = 3009, Level = LogLevel.Warning, Message = "{Device} was deleted from outside: what is routed into it is lost; restart xfrmd")]
    public static partial void DeviceVanished(this ILogger logger, string device);

    [LoggerMessage(EventId = 3010, Level = LogLevel.Warning, Message = "A socket's own policy has no effect on packets: its mark (SO_MARK) cannot be set")]
    public static partial void CannotMark(this ILogger logger);

    [LoggerMessage(EventId = 3008, Level = LogLevel.Debug, Message = "MTU of the TUN devices: {Mtu}")]
    public static partial void MtuChanged(this ILogger logger, int mtu);
}
