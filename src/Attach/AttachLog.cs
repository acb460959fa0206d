using Microsoft.Extensions.Logging;

namespace Xfrmd.Attach;

/// <summary>What Attach logs: events 4xxx.</summary>
internal static partial class AttachLog
{
    [LoggerMessage(EventId = 4001, Level = LogLevel.Information, Message = "listening on {Path}")]
    public static partial void Listening(this ILogger logger, string path);

    [LoggerMessage(EventId = 4002, Level = LogLevel.Information, Message = "program {Pid} attached")]
    public static partial void Attached(this ILogger logger, int pid);

    [LoggerMessage(EventId = 4003, Level = LogLevel.Information, Message = "program {Pid} and its children have ended")]
    public static partial void Ended(this ILogger logger, int pid);

    [LoggerMessage(EventId = 4004, Level = LogLevel.Warning, Message = "refused a client (pid {Pid}, uid {Uid}): {Reason}")]
    public static partial void Refused(this ILogger logger, int pid, uint uid, string reason);

    [LoggerMessage(EventId = 4005, Level = LogLevel.Error, Message = "system call {Number} of thread {Thread} failed here")]
    public static partial void CallFailed(this ILogger logger, Exception failure, int number, uint thread);

    [LoggerMessage(EventId = 4006, Level = LogLevel.Error, Message = "socket {Inode} failed")]
    public static partial void SocketFailed(this ILogger logger, Exception failure, ulong inode);

    [LoggerMessage(EventId = 4007, Level = LogLevel.Warning, Message = "program {Pid}: this kernel (before 5.19) lets signals cut our answers off; a request may be applied twice")]
    public static partial void NotKillable(this ILogger logger, int pid);

    [LoggerMessage(EventId = 4008, Level = LogLevel.Debug, Message = "socket {Inode}: domain {Domain} type {Type} protocol {Protocol} for process {Tgid} in net:[{Namespace}]")]
    public static partial void SocketMade(this ILogger logger, ulong inode, int domain, int type, int protocol, int tgid, ulong @namespace);

    [LoggerMessage(EventId = 4009, Level = LogLevel.Error, Message = "the session of program {Pid} failed")]
    public static partial void SessionFailed(this ILogger logger, Exception failure, int pid);
}
