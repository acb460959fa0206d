using Microsoft.Extensions.Logging;

namespace Xfrmd.Datapath.Steering;

/// <summary>Events 3200 to 3299.</summary>
internal static partial class SteeringLog
{
    [LoggerMessage(EventId = 3200, Level = LogLevel.Information, Message = "Steering into {Device} (interface {Ifindex}, offloads {Offloads})")]
    public static partial void DeviceUp(this ILogger logger, string device, int ifindex, Linux.TunOffloads offloads);

    [LoggerMessage(EventId = 3201, Level = LogLevel.Warning, Message = "Steering: nf_tables refused a change (errno {Errno}); writing all rules anew")]
    public static partial void Rewriting(this ILogger logger, int errno);

    [LoggerMessage(EventId = 3202, Level = LogLevel.Critical, Message = "Steering: the rules do not show the policies any more: {Reason}")]
    public static partial void Broken(this ILogger logger, string reason);

    [LoggerMessage(EventId = 3203, Level = LogLevel.Error, Message = "Steering: no device class is left for mark {Mark:x}/{Mask:x} interface {Ifindex}; its traffic is dropped")]
    public static partial void NoClassLeft(this ILogger logger, uint mark, uint mask, int ifindex);

    [LoggerMessage(EventId = 3204, Level = LogLevel.Information, Message = "Steering: removed {Count} rules and routes that an earlier run had left")]
    public static partial void LeftoversRemoved(this ILogger logger, int count);

    [LoggerMessage(EventId = 3205, Level = LogLevel.Debug, Message = "What comes out of {Device} has no mark of its SA or of netfilter: {Reason}")]
    public static partial void CannotGiveMarks(this ILogger logger, string device, string reason);

    [LoggerMessage(EventId = 3206, Level = LogLevel.Debug, Message = "Forwarded packets that a policy covers by their translated source alone are dropped: {Reason}")]
    public static partial void CannotRedirect(this ILogger logger, string reason);
}
