using Microsoft.Extensions.Logging;

namespace Xfrmd.Cli.Serve;

/// <summary>Events 5000 to 5099.</summary>
internal static partial class CliLog
{
    [LoggerMessage(EventId = 5000, Level = LogLevel.Information, Message = "Namespace net:[{Inode}]: removed {Count} rules and routes that a killed daemon had left")]
    public static partial void LeftoversRemoved(this ILogger logger, ulong inode, int count);

    [LoggerMessage(EventId = 5001, Level = LogLevel.Information, Message = "Namespace net:[{Inode}]: has ended")]
    public static partial void NamespaceEnded(this ILogger logger, ulong inode);

    [LoggerMessage(EventId = 5002, Level = LogLevel.Information, Message = "Cryptography: {Libraries}")]
    public static partial void ComputesBy(this ILogger logger, string libraries);
}
