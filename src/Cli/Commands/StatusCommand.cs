using System.CommandLine;
using System.Globalization;
using Xfrmd.Cli.Control;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd status</c>.</summary>
internal static class StatusCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> json) = (CommonOptions.Socket(), CommonOptions.Json());
        return new CliCommand("status", "Tunnels, SAs, policies and drops of this network namespace at a glance.", "xfrmd status", "xfrmd status --json")
        {
            socket, json,
        }.Does(parsed => Execute(CommonOptions.SocketOf(parsed, socket), parsed.GetValue(json)));
    }

    private static int Execute(string socket, bool json)
    {
        ControlRequest request = new() { Command = "status" };
        if (json)
        {
            return Daemon.PrintJson(socket, request);
        }
        StatusReport status = Daemon.Ask(socket, request, ControlJson.Default.StatusReport);
        Console.WriteLine($"{Paint.Strong("xfrmd " + status.Version)}, process {status.ProcessId}, net:[{status.Namespace}]{(status.Devices.Count == 0 ? "" : ", " + string.Join(", ", status.Devices))}");
        Console.WriteLine($"policies: {status.Policies.Out} out, {status.Policies.In} in, {status.Policies.Fwd} fwd; SAs: {status.Sas.Count}");
        if (status is { Sas.Count: 0, Policies: { Out: 0, In: 0, Fwd: 0 } })
        {
            Console.WriteLine("nothing to protect yet: start an IKE daemon with 'xfrmd run -- PROGRAM', or add SAs with 'xfrmd run -- ip xfrm …'");
        }
        foreach (PolicyReport policy in status.Out)
        {
            Console.WriteLine($"\n{Paint.Strong(policy.Selector)}  {policy.Action}");
            foreach (string template in policy.Templates)
            {
                Console.WriteLine($"  {template}");
            }
        }
        if (status.Sas.Count > 0)
        {
            Console.WriteLine();
        }
        foreach (SaReport sa in status.Sas)
        {
            string state = sa.State == "valid" && !sa.Dying ? Paint.Good(sa.State) : Paint.Warn(sa.Dying ? "dying" : sa.State);
            string rekey = sa.RekeyInSeconds is { } rekeying ? $", rekey in {rekeying} s" : sa.ExpiresInSeconds is { } left ? $", expires in {left} s" : "";
            Console.WriteLine($"{sa.Protocol} {sa.Spi} {sa.Source} → {sa.Destination}  {state}  {sa.Cipher}{(sa.Integrity is null ? "" : " " + sa.Integrity)}  {Size(sa.Bytes)} in {sa.Packets} packets{rekey}");
        }
        foreach (string path in status.RawEsp)
        {
            Console.WriteLine($"raw ESP {path}");
        }
        if (status.Drops.Count > 0)
        {
            Console.WriteLine();
        }
        foreach (CounterReport drop in status.Drops)
        {
            Console.WriteLine($"{Paint.Bad(drop.Name)} {drop.Value}: {drop.Meaning}");
        }
        return ExitCode.Done;
    }

    private static string Size(ulong bytes)
    {
        string[] units = ["B", "KB", "MB", "GB", "TB"];
        double value = bytes;
        int unit = 0;
        for (; value >= 1000 && unit < units.Length - 1; unit++)
        {
            value /= 1000;
        }
        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {units[unit]}");
    }
}
