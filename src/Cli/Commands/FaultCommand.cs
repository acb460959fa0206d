using System.CommandLine;
using Xfrmd.Cli.Control;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd fault</c>.</summary>
internal static class FaultCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> json) = (CommonOptions.Socket(), CommonOptions.Json());
        Option<bool> clear = new("--clear") { Description = "Forget those there are first; what waits goes on." };
        Argument<string[]> faults = new("fault") { Description = "MESSAGE:EFFECT[@WHICH]; without one, those that are set are shown.", Arity = ArgumentArity.ZeroOrMore };
        return new CliCommand("fault", "Let requests fail, wait or go unanswered, to see how an IKE daemon bears it.",
            "xfrmd fault NEWSA:ENOMEM@3", "xfrmd fault ALLOCSPI:delay=2s event/ACQUIRE:lose@1-2", "xfrmd fault --clear")
        {
            faults, clear, socket, json,
        }.Explained("""
                Of the programs of this network namespace, from now on, until --clear.
                MESSAGE  a request: NEWSA, UPDPOLICY, ALLOCSPI, … of netlink, SADB_ADD, SADB_X_SPDADD, … of PF_KEY; or what listeners are
                         told: event/ACQUIRE, event/EXPIRE, event/SADB_ACQUIRE, …
                EFFECT   ENOMEM or any other error: the request is refused and changes nothing
                         delay=500ms: it waits first, up to 60s; other sockets of the same program wait as well
                         lose: it is done, but no answer comes; what listeners were to be told is told to nobody
                WHICH    @3 the third only, @1-3 the first three, @3+ all from the third on; without it all
                Packets are not touched: 'tc qdisc add dev … root netem loss 1%' loses, delays and damages those.
                """).Does(parsed => Execute(CommonOptions.SocketOf(parsed, socket), parsed.GetValue(json), parsed.GetValue(clear), parsed.GetValue(faults) ?? []));
    }

    private static int Execute(string socket, bool json, bool clear, string[] faults)
    {
        foreach (string fault in faults)
        {
            if (FaultSpec.TryParse(fault, out string mistake) is null)
            {
                throw new UsageException(mistake);
            }
        }
        ControlRequest request = new() { Command = "fault", Faults = faults, Clear = clear };
        if (json)
        {
            return Daemon.PrintJson(socket, request);
        }
        FaultReport[] set = Daemon.Ask(socket, request, ControlJson.Default.FaultReportArray);
        foreach (FaultReport fault in set)
        {
            Console.WriteLine($"{fault.Fault}  {Paint.Faint($"{fault.Struck} of {fault.Seen} struck")}");
        }
        if (set.Length == 0)
        {
            Console.WriteLine("No fault is set: all requests are answered as Linux answers them.");
        }
        return ExitCode.Done;
    }
}
