using Xfrmd.Linux.Seccomp;

namespace Xfrmd.Attach;

/// <summary>
/// The filter on attached programs: which system calls come to the daemon. All others, and these on other descriptors, cost a few
/// instructions. Calls of other architectures pass: such a program gets the kernel beneath.
/// </summary>
internal static class AttachFilter
{
    private const string Allow = "allow", Notify = "notify", Range = "range";

    /// <param name="range">Where the emulated sockets live.</param>
    /// <param name="unseen">Whether the daemon cannot ask the program's sockets for their size of sends (<see cref="ControlProtocol.AcceptedUnseen"/>).</param>
    /// <param name="files">Whether the namespace lacks the files of /proc that we serve, so that calls which only look are told too.</param>
    public static SockFilter[] Build(ReservedRange range, bool unseen, bool files)
    {
        BpfAssembler code = new();
        code.LoadArchitecture().IfEqual(SystemCall.Architecture, null, Allow);
        code.LoadNumber().IfEqual(SystemCall.Socket, "socket");
        foreach (int onOurs in (ReadOnlySpan<int>)[
            SystemCall.SendTo, SystemCall.SendMsg, SystemCall.SendMMsg, SystemCall.Write, SystemCall.RecvMsg, SystemCall.RecvMMsg,
            SystemCall.Connect, SystemCall.Dup, SystemCall.RecvFrom, SystemCall.Read, SystemCall.ReadV, SystemCall.Listen, SystemCall.Accept, SystemCall.Accept4, SystemCall.Shutdown])
        {
            code.IfEqual((uint)onOurs, Range);
        }
        // Of any descriptor, as they are rare: one that came by SCM_RIGHTS has an ordinary number. OpenIKED's requests come so, by writev.
        code.IfEqual(SystemCall.WriteV, Notify).IfEqual(SystemCall.GetSockName, Notify).IfEqual(SystemCall.GetPeerName, Notify);
        code.IfEqual(SystemCall.Bind, "bind").IfEqual(SystemCall.Fcntl, "fcntl").IfEqual(SystemCall.Ioctl, Range);
        code.IfEqual(SystemCall.SetSockOpt, "setsockopt").IfEqual(SystemCall.GetSockOpt, "getsockopt");
        code.IfEqual(SystemCall.Unshare, Notify).IfEqual(SystemCall.SetNs, Notify);   // for what we remember of the thread
        code.IfEqual(SystemCall.Open, Notify).IfEqual(SystemCall.Creat, Notify).IfEqual(SystemCall.OpenAt, Notify).IfEqual(SystemCall.OpenAt2, Notify);
        if (files)
        {
            foreach (int looks in (ReadOnlySpan<int>)[
                SystemCall.Stat, SystemCall.LStat, SystemCall.NewFStatAt, SystemCall.StatX, SystemCall.Access, SystemCall.FAccessAt,
                SystemCall.FAccessAt2])
            {
                code.IfEqual((uint)looks, Notify);
            }
        }
        code.Ret(SeccompAction.Allow);

        code.Label("socket").LoadArgument(0).IfEqual(SocketAbi.AfKey, Notify).IfEqual(SocketAbi.AfNetlink, null, Allow);
        code.LoadArgument(2).IfEqual(SocketAbi.NetlinkXfrm, Notify).IfEqual(SocketAbi.NetlinkRoute, Notify, Allow);

        // Any bind to an address as long as sockaddr_in: it may be to a port that we hold.
        code.Label("bind").LoadArgument(2).IfAtLeast(16, Notify, Range);
        code.Label("fcntl").LoadArgument(1).IfEqual(SocketAbi.DupFd, Range).IfEqual(SocketAbi.DupFdCloseOnExec, Range, Allow);

        // SO_MARK of any socket: it may have a policy of its own, for which some bits are ours.
        // Of an emulated socket all levels but SOL_SOCKET: a unix socket refuses them with another error than netlink does.
        code.Label("setsockopt").LoadArgument(1).IfEqual(SocketAbi.SolNetlink, Range).IfEqual(SocketAbi.SolSocket, "set-socket");
        code.IfEqual(SocketAbi.SolUdp, "set-udp").IfEqual(SocketAbi.SolIp, "set-ip").IfEqual(SocketAbi.SolIpv6, "set-ipv6", Range);
        code.Label("set-socket").LoadArgument(2);
        if (unseen)
        {
            code.IfEqual(SocketAbi.SoSndBuf, Range).IfEqual(SocketAbi.SoSndBufForce, Range);
        }
        code.IfEqual(SocketAbi.SoMark, Notify).IfEqual(SocketAbi.SoPassCred, Range).IfEqual(SocketAbi.SoPeekOff, Range);
        code.IfEqual(SocketAbi.SoRcvBuf, Range).IfEqual(SocketAbi.SoRcvBufForce, Range, Allow);
        code.Label("set-udp").LoadArgument(2).IfEqual(SocketAbi.UdpEncap, Notify).IfEqual(SocketAbi.UdpGro, Notify, Range);
        code.Label("set-ip").LoadArgument(2).IfEqual(SocketAbi.IpIpsecPolicy, Notify).IfEqual(SocketAbi.IpXfrmPolicy, Notify, Range);
        code.Label("set-ipv6").LoadArgument(2).IfEqual(SocketAbi.Ipv6IpsecPolicy, Notify).IfEqual(SocketAbi.Ipv6XfrmPolicy, Notify, Range);

        code.Label("getsockopt").LoadArgument(1).IfEqual(SocketAbi.SolSocket, null, Range);
        code.LoadArgument(2).IfEqual(SocketAbi.SoType, Range).IfEqual(SocketAbi.SoError, Range).IfEqual(SocketAbi.SoProtocol, Range);
        code.IfEqual(SocketAbi.SoDomain, Range).IfEqual(SocketAbi.SoPeekOff, Range).IfEqual(SocketAbi.SoPeerCred, Range).IfEqual(SocketAbi.SoPeerName, Range);
        code.IfEqual(SocketAbi.SoPassCred, Range).IfEqual(SocketAbi.SoPeerGroups, Range).IfEqual(SocketAbi.SoPeerPidFd, Range).IfEqual(SocketAbi.SoMark, Notify, Allow);

        // A descriptor is an unsigned int to the kernel: the low half decides.
        code.Label(Range).LoadArgument(0).IfAtLeast((uint)range.High, Allow).IfAtLeast((uint)range.Low, Notify, Allow);
        code.Label(Notify).Ret(SeccompAction.UserNotification);
        code.Label(Allow).Ret(SeccompAction.Allow);
        return code.Assemble();
    }
}
