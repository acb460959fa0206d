using Microsoft.Extensions.Logging;

namespace Xfrmd.Datapath.Direct;

internal static partial class DirectLog
{
    [LoggerMessage(EventId = 3020, Level = LogLevel.Debug, Message = "Packets to {Destination} leave directly")]
    public static partial void LeavesDirectly(this ILogger logger, System.Net.IPAddress destination);

    [LoggerMessage(EventId = 3021, Level = LogLevel.Debug, Message = "Packets to {Destination} leave through the raw socket: {Reason}")]
    public static partial void LeavesThroughRouting(this ILogger logger, System.Net.IPAddress destination, string reason);

    [LoggerMessage(EventId = 3022, Level = LogLevel.Debug, Message = "ESP from {Source} to {Destination} comes: {How}")]
    public static partial void Arrives(this ILogger logger, System.Net.IPAddress source, System.Net.IPAddress destination, string how);

    [LoggerMessage(EventId = 3024, Level = LogLevel.Debug, Message = "No program of eBPF takes what comes, a ring of AF_PACKET and netfilter do: {Reason}")]
    public static partial void CannotTake(this ILogger logger, string reason);

    [LoggerMessage(EventId = 3025, Level = LogLevel.Debug, Message = "Frames are sent by AF_PACKET, not AF_XDP: {Reason}")]
    public static partial void CannotSendFrames(this ILogger logger, string reason);

    [LoggerMessage(EventId = 3023, Level = LogLevel.Warning, Message = "Raw ESP is received through raw sockets only: {Reason}")]
    public static partial void CannotReceiveDirectly(this ILogger logger, string reason);
}
