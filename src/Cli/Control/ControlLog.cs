using Microsoft.Extensions.Logging;

namespace Xfrmd.Cli.Control;

internal static partial class ControlLog
{
    [LoggerMessage(EventId = 5001, Level = LogLevel.Debug, Message = "A control connection ended early: {Reason}")]
    public static partial void ControlFailed(this ILogger logger, string reason);
}
